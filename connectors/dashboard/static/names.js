// What the graph's labels, relations and topics, channels and roles are called in Chinese.

export const CHANNELS = { web: "网页", api: "程序", wechat: "微信", wechat_kf: "微信客服", telegram: "Telegram", notice: "通知" };

export const MEDIA = {
  ...{ picture: "图片", voice: "语音", video: "视频", file: "文件", sticker: "表情", location: "位置", contact: "名片" },
};

export const ROLES = { sales: "销售", supplier: "供应商", operator: "客服", trainer: "训练师" };

export const LABELS = {
  ...{ Product: "商品", Category: "品类", Brand: "品牌", Supplier: "供应商", Attribute: "参数" },
  ...{ Policy: "规则", Faq: "问答", Topic: "话题", User: "用户", Card: "名片" },
};

export const RELATIONS = {
  ...{ IN_CATEGORY: "品类", OF_BRAND: "品牌", SUPPLIED_BY: "供应商", HAS: "参数", COMPATIBLE_WITH: "可搭配" },
  ...{ SUBSTITUTE_FOR: "可替代", ABOUT: "话题", APPLIES_TO: "适用于", FORWARDED: "转给", CONVERTED: "成交", ASKED: "问过" },
};

export const TOPICS = {
  ...{ refund: "退款", return_exchange: "退换货", delivery: "配送", order_change: "改订单", price_promo: "价格和活动" },
  ...{ coupon_points_member: "券、积分、会员", product_question: "商品咨询", feature_comparison: "商品对比", invoice: "发票" },
  ...{ payment: "支付", contact_human: "找人工", complaint: "投诉", review: "评价", account_other: "账号和其他" },
  ...{ presale: "预售", card_energy: "名片和能量" },
};

export const FEELINGS = { worry: "担心", anger: "生气", urge: "催促" };

export const named = ({ label, id, name }) => (label === "Topic" ? (TOPICS[id] ?? name) : name);

export const address = ({ label, id }) => `/dashboard/graph#${label}/${encodeURIComponent(id)}`;
