"""What messages do, one by one: the patterns of bot/data/acts.yml, and how a slip in such a file is told."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_yaml_file, write_yaml

import settings
from bot.components.acts import ActFinder, Acts, read_acts

FILE = settings.ROOT / "bot" / "data" / "acts.yml"
ACTS = Acts(read_acts(FILE))

SAID = {  # the acts that a message must have, (!) those that it must not have: messages of that kind
    # what the shop says by itself
    "unsubscribes ": """
        退订 / TD / td。 / 退订！ / 回复TD / 我要退订 / 别再发了 / 不要再给我发消息了 / 你们别老发广告了
        不要给我发广告 / 退订你们的活动短信 / unsubscribe / Stop sending me offers / 不想再收到广告
        no more ads please / 唔好再发广告 / 别老给我发优惠信息就行 / 不要再发促销短信
    """,
    "!unsubscribes  ": """
        昨儿那单给我退订了吧 / 退订单ORD55600里面的帽子 / 先别发货 / 别发了 / 服务器课没开 退订金 / 订阅的咖啡豆别再发了
        退订怎么弄 / 广告里那款有吗 / 你们在推什么活动
    """,
    "stop_word ": "退订 / TD / T / 回复T / stop / Stop! / 退订。",
    "!stop_word  ": "退订那一单 / stop it please now / 停 / 不退了 / TT / 退订你们的活动短信 / 别再发了",
    "subscribes ": """
        订阅 / 恢复通知 / 我要订阅 / 重新订阅吧 / subscribe / subscribe again please / 降价了喊我一声 / 有活动通知我
        下次大促叫我 / 有优惠了告诉我一声 / tell me when there is a sale
    """,
    "!subscribes  ": "取消订阅 / 怎么订阅 / 我订阅的咖啡豆到哪了 / 降价会通知我吗 / 有什么活动 / 别有活动就叫我",
    "unsubscribes  ": "以后别给我推了 / 以后不要给我推荐了",
    "!unsubscribes   ": "以后给我推荐点好的 / 别给我发了 我不要了",
    "keep ": "对 电话不变 / 电话还是我的 / 收件人不变 / 其他不用改 / 名字照旧 / 嗯 地址还是原来的",
    "!keep ": "电话变了 / 地址改一下 / 不变可以吗 / 还是换吧",
    "keeps_private ": """
        为啥要单号 / 凭什么要我手机号 / 你们自己不会查吗 / 系统查不到吗 / 我就不想给 隐私 / 不方便说 / 要我电话干嘛
        为啥还要验旧号 / why do you need my phone number / rather not share that
    """,
    "!keeps_private ": "单号在哪看 / 为什么要出运费 / 不想给退货了 / 怎么查快递",
    "repeat  ": "刚才说到哪了 / 我们聊到哪儿了 / 回来了 刚才办到哪",
    "!repeat  ": "快递到哪了 / 送到哪了",
    "all ": "月饼都馊了 / 两盒全坏了 / 全都碎了",
    "!all ": "都三天了 / 我都等烦了",
    "takes_offer ": "领券 / 券我要了 / 那就收下这张券吧 / 优惠券收下了 / I'll take the coupon",
    "!takes_offer  ": "怎么领券 / 我要优惠券 / 领券中心在哪 / 有什么券 / 我想用券",
    "turns_down_offer ": "不要券 / 不要你们的券 / 谁要什么优惠券 / 券就算了 / 优惠券不用了 / no coupon please",
    "!turns_down_offer  ": "券用不了 / 不要用券 / 不要券了我要退钱 / 券不要过期啊 / 不用券多少钱",
    "waits_for_stock ": """
        有货了告诉我 / 到货了叫我 / 到货提醒我 / 到货提醒 / 开个到货提醒 / 缺货登记一下 / 什么时候补货了通知我一声
        有货的话跟我说 / let me know when it is back in stock / Notify me when available
    """,
    "!waits_for_stock  ": "到货提醒在哪开 / 什么时候到货 / 有货吗 / 到货了没 / 收到货了告诉你 / 到货了能提醒吗",
    # Cantonese, in its own script
    "yes ": "係 / 係呀 / 係嘅 / 好嘅 / 啱 / 啱呀 / 冇錯 / 系啊 冇错",
    "no ": "唔係 / 唔要 / 唔使 / 唔好 / 唔啱 / 咪搞 / 唔係呢張",
    "leave ": "冇嘢喇 / 冇事喇 / 唔使喇 / 得喇 / 冇嘢喇 唔該晒",
    "wait ": "算了 等明天吧 / 算啦 等聽日 / 那我等同事 / 还有资料要发，稍等 / 等陣 / 等陣先 / 等我睇下 / 我搵下先",
    "lost ": "唔記得咗 / 唔記得單號喇 / 喺邊度睇",
    "repeat ": "咩話 / 咩意思 / 講多次 / 再講多次得唔得",
    "stop ": """
        不需要开票 / 我不要发票 / 不用发票了 / 我不需要开发票
        算數啦 / 唔退喇 / 唔搞喇 / 遲啲先講 / 聽日再講 / 唔好取消
    """,
    "human  ": """
        叫你们同事帮我查一下 / 让人去问问快递 / 请你们同事联系一下 / 你叫个人帮我查 / 那叫人查下流水吧
        你叫同事幫我問下啦
    """,
    "!human  ": "我让同事帮我取了 / 不用叫同事查 / 我同事也买了 / 让他帮我收 / 我叫人去拿",
    "human ": "搵真人 / 我要搵人傾 / 幫我轉人工 / 搵客服",
    "urgent ": "快啲啦 / 快D",
    "question   ": "到货了能喊我不 / 可以告诉我不",
    "question ": """
        點解咁慢 / 邊個出運費 / 係咪要收錢 / 得唔得 / 可唔可以退 / 有冇貨 / 使唔使錢 / 收到未 / 到咗未 / 仲要等幾耐
        我個快遞去咗邊 / 點樣退 / 乜嘢情況 / 幾多錢
    """,
    "negation ": "仲未發貨 / 冇收過 / 未收到 / 唔啱碼",
    "correction ": "講錯咗 / 我講錯咗，係5678",
    "objection ": "我唔係咁講 / 你搞錯咗",
    "!question ": "我這邊個人信息填好了 / 這邊處理 / 喇叭壞了",
    "!negation ": "積木有貨 / 大米有貨",
    "ack ": "沒關係啊",
    "request": """
        帮我跟快递讲一声 / 麻烦备注一下 / 请安排周六送 / 你们联系一下师傅 / 让快递放驿站 / 帮忙核实下
        麻烦你们处理一下 / 叫他们快点 / could you ask them
    """,
    "!request": """
        很麻烦 / 清洗起来很麻烦 / 没人联系我 / 没人处理吧 / 让快递摔坏了 / 邀请好友 / 请问几点发货
        麻烦你了 / 麻烦了谢谢 / 申请好了 / 我请假了 / 请客吃饭 / 处理好了吗
    """,
    "contests": """
        就不能通融下吗 / 能不能给我破个例 / 求求你了 / 只差两天而已 / 才过了一天 / 真的一点办法都没有吗 / 難道就唔得咩
        我前天晚上才取到的 / 谁说是周三签收的 / 签收时间不对吧 / 你们登记错日期了吧 / 你到底有没有看我写的
    """,
    "!contests": """
        我要退货 / 请求换货 / 要求退款 / 什么时候能到 / 怎么查物流 / 七天内能退吗 / 可以开发票吗 / 这双鞋有货吗
        两天能到吗 / 还要几天 / 帮我看看订单 / 你看一下
    """,
    "of_packing": "碎的怎么寄 / 旧的要我自己打包吗 / 瓶子裂了怎么包装 / 尖的会扎手 怎么装箱 / how should i pack it",
    "!of_packing": "怎么安装 / 怎么包邮 / 碎了怎么办 / 有没有礼品包装 / 怎么退货",
    "of_advance": "要我先垫钱吗 / 邮费是我垫付还是你们付 / 能发到付不 / 快递费谁先付",
    "!of_advance": "运费谁出 / 能货到再付款吗 / 付款付错了 / 床垫有货吗",
    "of_cheaper": "拒收和收到再退哪个划算 / 哪种办法省钱 / 收了再退是不是也要我出运费",
    "!of_cheaper": "能便宜点吗 / 有优惠吗 / 收到再退吧",
    "of_split": """
        一个包裹怎么拦一半 / 能只拦那一件吗 / 同一个包裹里的能分开退吗
        另一件照样发吧 / 那个锅还寄不寄 / 剩下的还会发吗 / 其他的不受影响吧 / 嗰個煲仲寄唔寄
    """,
    "!of_split": """
        包裹到哪了 / 帮我拦截 / 退一半的钱 / 另外那单还发吗 / 那个什么时候发 / 这个订单还没发货 / 那发票还发吗
        这货还没送到
    """,
    "takes_out": """
        剔走一件先付款得唔得 / 只取消其中一件 / 去掉勺子那个 / 其中一样帮我取消 / 淨係取消一件 / 就取消那个杯垫
    """,
    "!takes_out": """
        怎么去掉油渍 / 取消订单 / 就取消这单吧 / 发票里面膜那行去掉 / 把优惠券那个去掉 / 只取消排队
        撤掉那个退货申请 / 只买一件
    """,
    "of_stock": "43码有货吗 / 白色的还有没有 / L码断货了吗 / 呢個碼有冇貨",
    "!of_stock": "收到货了 / 有没有客服 / 货到了吗",
    "of_verdict": "到底能不能退 / 是不是就退不了 / 能退还是不能退 / 一句话 退不退",
    "!of_verdict": "怎么退 / 退货要几天 / 退不了款怎么回事",
    "prefers": "还是退钱吧 / 我说的是换一盒 / 直接换就行 / 给我换一个",
    "!prefers": "换货太麻烦了 / 退款多久到 / 你们能换货吗",
    "another": "另外那单也退 / 换个订单 / 还有一双也要退 / 别的东西能退吗 / 另一件呢 / another order please",
    "!another": "不能退还有天理吗 / 别的没什么 / 另外运费谁出 / 换一件 / 换个新的",
    "accepts": "好的，谢谢 / 可以，麻烦了 / 行 谢谢你 / 好 谢谢 / 好的，那帮我问下吧 / 好，麻烦你帮我查一下",
    "!accepts": "谢谢 / 不用了，谢谢 / 知道了 谢谢 / 好的 / 没有了谢谢 / 谢谢，好的",
    "solved": """
        已经到账了 / 退款收到了，谢谢 / 快递员联系我了 / 没问题了 钱都到了 / 货收到了 / 可以了 师傅给我打电话了
        东西已经到了 / 找到了，在门卫那 / it arrived, thanks
    """,
    "!solved": """
        快递被退回了 / 包裹被退回去了 / 东西我退回去了 / 送到别人家了 / 送到门口丢了
        收到诈骗电话了 / 收到空盒了 / 我联系客服三次了 / 货收到一周了 / 可以退款了
        说是送到了 / 系统显示已经送到了 / it arrived broken / 没收到 / 还没解决
        可以退吗 / 快递到了哪里 / 我找不到了 / 没送到，找不到人
        收到货发现少一件了
    """,
    "subject": "售后 / 申请售后 / 发票 / 物流 / 物流问题 / 我要申请售后 / 售后服务 / 优惠券 / 咨询物流 / after-sales",
    "!subject": "开发票 / 物流到哪了 / 我要退货 / 退货 / 发票在哪 / 售后电话多少 / 快递怎么还没到",
    "applied": """
        我已经申请换货了 / 刚刚提交了 / 刚才申请了退货 / 退款昨天就提交过了 / 我的换货已经申请好了 / 我申请了售后
        已经提交了退货申请 / I've already requested a refund
    """,
    "!applied": """
        我也申请退款 / 都申请退款 / 今天申请退货 / 也办理退货
        我要申请退款 / 怎么申请换货 / 刚买的想退货 / 申请退款了怎么还没到账
        可以申请售后吗 / 我还没申请退货 / 提交
    """,
    "progress": """
        有进展了吗 / 查到了没 / 处理得怎么样了 / 好了吗 / 有结果没 / 我的事情处理好了吗 / 什么情况了 / 到哪一步了
        还没好吗 / 有回复了吗 / any news?
    """,
    "!progress": """
        发票好了吗 / 退款到哪一步了 / 快递到哪了 / 怎么样 / 质量怎么样
        好了 / 处理好了 / 解决了 / 这款怎么样了解一下
        什么情况下能退
    """,
    "question follow_up": "那运费 / 那来回邮费 / 那手续费?",
    "!question  ": "那运费我出吧 / 那发票不要了 / 那券算了",
    "follow_up": """
        那质量问题呢 / 那到账要多久 / 内衣袜子这种呢 / 微信付的也一样？
        那运费呢 / 换货也可以吗 / how about exchanges
    """,
    "!follow_up": "那就第二个吧 / 那先这样 / 那好吧 / 退货运费谁出 / 也不知道怎么弄的 / 那个订单什么时候到",
    "yes": """
        确认 / 确认提交 / 确定 / 好 / 好的 / 好滴 / 好吧 / 好呀
        好好好 / 嗯 / 嗯嗯 / 嗯呢 / 恩 / 对 / 对的 / 对对对
        是 / 是的 / 是的是的 / 没错 / 没问题 / 可以 / 可以的 / 可以可以 / 行 / 行吧 / 行的 / 中 / 得 / 得啊 / 系
        係啊 / 冇問題 / ok / OK的 / Okay! / yes / yep
        sure / confirm / Yes, please / 同意 / 我同意 / 提交 / 提交吧
        就这样 / 就这么办 / 帮我提交 / 可以提交 / 没问题 提交吧
        确认无误 / 确认无误，提交吧 / 好的 提交 / 好 麻烦了
        嗯 可以 / 嗯，可以。 / 是的 没错 / 对 就是这单 / 就这单 / 是这单 / 是这个 / 就是它 / 是我的订单 / 👌 / 👍🏻
        👌👌 / 好的👌 / 亲，好的 / 那好吧 / 好的，谢谢 / 好的 那你弄吧 / 哦，好的 / 请提交 / 地址没错 / 信息都对
        go ahead / that's right / looks good / 阔以 / 要得 / 妥妥的 / 成 / 继续
        行吧 确认提交 / 好吧，确认取消 / 自己出就自己出吧 确认提交 / 就这样吧 确认提交
    """,
    "of_freight": """
        运费谁出 / 邮费是我出吗 / 凭什么要我出运费 / 拦截费大概多少
        快递费要我掏吗 / 我问的是运费 / 那边运费几块钱呀
        不应该你们出邮费吗 / 怎么还要我出钱 / 寄回去的运费怎么算 / who pays the return shipping
    """,
    "!of_freight": "运费我出就我出吧 / 自己出就自己出吧 确认提交 / 我付过钱了 / 怎么还不退钱 / 谁要退款",
    "of_amount": "退我多少 / 能退多少钱 / 退款金额是多少 / 会扣手续费吗 / 全额退吗 / 三件都退吗",
    "!of_amount": "空调多少钱 / 我要退款 / 全部退 / 买了多少件",
    "of_day": """
        钱什么时候到 / 退款几天能到账 / 多久能退给我 / 几时发新嘅畀我 / 啥时候审核
        3号前来不及寄到是不是就办不了退款了 / 寄晚了会作废吗
    """,
    "!of_day": """
        什么时候发货 / 几天能送到 / 退款吧 / 没寄到我这 / 一直没收到货怎么退 / 还没寄呢 / 还没寄出来就退款
        没寄到就给我退了吧
    """,
    "of_pickup": """
        有人上门收吗 / 师傅上门吗 / 谁来拉走 / 要我自己寄吗
        太沉了搬不动 / 我寄不了 叫人上门取 / 你哋上門收定我送返去
        怎么寄回去 / 谁来收呀 / 必须寄回去吗
    """,
    "!of_pickup": "送货上门吗 / 谁来安装 / 我来拿快递 / 你们收到了吗",
    "of_place": """
        寄到哪 / 退货地址发我 / 售后详情在哪看 / 东西寄哪里 / 我看不到退货地址 / 在哪个页面看售后详情 / 地址是多少
        快递单号填哪里呀 / 在哪儿填运单号 / 单号往哪填 / 寄完单号发给谁
    """,
    "!of_place": """
        地址是深圳市南山区科技路8号 / 我地址在中山路8号 / 地址有误 / 地址给错了 / 我要改地址 / 地址写错了
        快递到哪了 / 发到哪了 / 快递单号多少 / 单号在哪看 / 订单号填哪 / 单子在哪写备注 / 税号填哪 / 单号是ORD12345
        哪里填写地址
    """,
    "of_goods": "换的还是黑色对吧 / 还是同一个颜色吗 / 能换别的颜色吗 / 换来的是一样的款吗 / 退的是哪一件",
    "!of_goods": "我要换货 / 颜色不喜欢 / 换成红色",
    "of_need": "必须绑吗 / 不绑行不行 / 一定要绑定会员吗 / 为什么要绑",
    "!of_need": "绑定会员 / 怎么绑定 / 绑不上",
    "of_queue": "还在排队吗 / 轮到我了没 / 前面还有几个 / 要等多久啊 / 我的位置还在吗 / am i still in the queue",
    "!of_queue": "不排队了 / 等你们回复 / 快递要几天 / 到我家要几天",
    "word_for_person": """
        帮我留个言吧 / 你跟同事说一声 / 麻烦把这个记给他 / 也跟他讲一下钱的事 / 转告一下客服 / 先备注一下
        leave a message
    """,
    "!word_for_person": """
        忘记上传照片了 / 登记上的地址错了 / 我没说要退 / 他说好了 / 客服跟我说可以退 / 你说什么 / 评论里留的
    """,
    "lost  ": """
        手上没有税号 / 税号晚点发你 / 不填税号行不行 / 稅號遲啲俾得唔得 / 税号必须填吗 / 我冇帶稅號 / 不填可以吗
        i don't have the tax number
    """,
    "!lost  ": "税号没错 / 税号写错了 / 抬头没有问题 / 税号没有问题 / 没填错",
    "of_account": """
        退到微信还是银行卡呀 / 钱退到哪去了 / 当时用什么付的 / 退回哪张卡 / 钱打回到哪里 / 退到支付宝吗
        係微信定系銀行卡 / which account did it go to
    """,
    "!of_account": "微信怎么付款 / 快递到哪了 / 退货寄到哪 / 我要退款 / 手机卡住了 / 绑定账号",
    "of_notice": "怎么没人跟我说一声 / 也没通知我啊 / 为什么不通知我 / 退了我怎么不知道 / 没有收到短信",
    "!of_notice": "没人联系我 / 没人送货 / 不知道单号 / 没收到货",
    "of_arrival": "我没看到钱啊 / 钱没到账 / 没收到退款 / 退款怎么没到 / 查不到这笔钱 / i haven't got the refund",
    "!of_arrival": "没收到货 / 没看到快递 / 钱什么时候到 / 查不到单号 / 没收到快递",
    "of_year": "哪一年的 / 是哪年退的啊 / 今年还是去年 / 去年的吗 / which year",
    "!of_year": "去年买的空调 / 今年的新款有吗 / 几年质保 / 能用几年",
    "of_invoice": """
        多久能好 / 发到哪里 / 什么时候开好 / 发票几天能出来 / 在哪下载 / 多久能好，发到哪 / 是发到邮箱吗
        幾時有，發去邊度㗎 / 喺邊度睇 / 那到时候怎么看 / 几天能到 发哪 / 多久来，发到哪个邮箱
    """,
    "!of_invoice": "什么时候发货 / 快递到哪了 / 什么时候到 / 多久能送到 / 发票抬头怎么写 / 我要开发票 / 退到哪里",
    "of_courier": """
        派件小哥电话多少 / 派件的怎么联系 / 圆通客服电话几号 / 快递公司是什么飞梭吧他们电话多少
        跑腿的手机号给我 / 点搵送貨嘅人 / 怎么联系快递员 / 你们快递公司客服电话几号
        送货师傅联系方式 / 骑手电话有没有 / 配送员号码发我 / 把配送小哥的联系方式发我 / 怎么聯繫派件員 / 快递电话多少
        the courier's number
    """,
    "!of_courier": """
        快递电话通知我了吗 / 快递员没打电话 / 快递到哪了 / 快递员电话打不通 / 师傅给我打电话了 / 改下收货电话
        有没有人工客服电话 / 手机号多少 / 我要买手机
    """,
    "of_shipping": "那到底哪天发 / 几号能到 / 什么时候发货呀 / 发货时间是几号 / 多久送到",
    "!of_shipping": "什么时候开发票 / 退款多久到账 / 哪天上班 / 发到哪里",
    "address": "江苏省苏州市工业园区星湖街328号5栋 / 改到杭州市西湖区文三路90号，哪天发",
    "!address": "我在杭州市 / 寄到公司 / 小区门口等",
    "undoes": """
        吹风机还能取消不 / 那个台灯能不能取消 / 手滑又买了一台 / 买重了 / 重复下单了一份 / 取消得了吗 / 不小心又拍了一个
        can the lamp still be cancelled
    """,
    "!undoes": """
        能取消售后吗 / 我的退货能取消吗 / 会员可以取消吗 / 取消排队 / 能取消退款申请吗 / 手滑点错了 / 又买了水果
        能不能买到
    """,
    "of_price": """
        现在多少钱 / 现在页面什么价 / 页面标价多少 / 我同事用券买只要50 / 要差价 / 补我差价 / 降了多少 / 今天卖几块
        室友昨天买的便宜了20 / 一句话补不补 / 补还是不补 / 那就是不补了 / 说到底就是不肯补呗 / 能补还是不能
        到底降没降 / 补不了是吧 / 能不能补
    """,
    "!of_price": """
        能不能补发 / 能不能补开发票 / 漏了一件 给不给补 / 温度降没降 / 有没有降噪 / 降温没有 / 就是不补货
        这双鞋怎么样 / 我要退货 / 朋友推荐的
        送朋友合适吗 / 有券吗
    """,
    "of_reading": """
        知不知道我要的是换货 / 佢知唔知我寄去邊 / 他知道吗 / 同事看没看到 / 他们看得到我说的吗 / 同事能看到前面的吗
        我要不要再说一遍 / 別到時又問多次 / can they see it
    """,
    "!of_reading": "你知道怎么退吗 / 你知不知道怎么退 / 你知道我要的是红色吗 / 你们看看 / 我看不到 / 知道了",
    "of_record": "登记上了吗 / 我的事记下了没 / 登记上了吧 / 帮我登記咗未 / 有没有帮我备注",
    "!of_record": "先备注一下 / 忘记密码了 / 登记一下",
    "stays": """
        那我等着 / 算了 等明天吧 / 明天再说吧 / 行了，明天再说 / 我说等同事，别取消啊 / 唔好取消 / 谁说不等了
        不是，我是说等明天 / 帮我重新登记 / 到时候再说 / 10点再说 / 那等九点 / 那等他们上班 / 算了 8点半再说 走了
        行，那就等10点，别忘了啊 / 等同事上班再说吧
    """,
    "!stays": """
        9点能送到吗 / 9点前要送到 / 等到9点还没到 / 不等了 / 取消 / 我要取消订单 / 等一下 / 能不能别取消我的订单吗
        明天送到吗
    """,
    "of_hours": "同事几點返 / 人工几点上班 / 几点到几点有人呀 / 客服什么时候下班 / 晚上有人吗 / 你们周末有人在吗",
    "!of_hours": "几点送到 / 什么时候发货",
    "of_call": """
        会打电话给我吗 / 人工会打我手机吗 / 到时候给我打电话不 / 他们怎么联系我 / 打我电话还是在这回 / 回复在哪看呀
        去哪里看你们的回复
        没登录能看到吗 / 我没绑定怎么收 / 就在这个窗口看吗 / 到时候在哪看答复
    """,
    "!of_call": "在哪看物流 / 怎么登录 / 没绑定 / 给我打电话 / 快递没打电话 / 电话改一下",
    "keep": "不改了 / 不改 / 我没要改啊 / 不用改 / 没说要改呀 / 我又没要改",
    "!keep": "改一下 / 不换了 / 要改 / 不用改地址吗 / 没改对",
    "submit": """
        确认提交 / 确认提交！ / 確認提交啦，唔該 / 好 确认提交
        行吧 确认绑定 / 嗯嗯，确定提交 / 算了 办吧 确认提交
        确认撤销 / 确定取消订单 / 确认修改地址 / 确认提交 谢谢 / 确认退货吧 / ok，确认开票
        那就办吧 确认提交 / 这样就确认提交啦 谢谢 / 我也行 确认提交 / 那就行吧，确认提交
        知道了 那确认提交吧 / 我确认提交 / i confirm / 那就确认申请
    """,
    "!submit": """
        请确认退款 / 请确认取消 / 麻烦您确认申请 / 确定要退货啊
        确定要取消啊 / 确认提交了 / 我已经点了确认提交 / 算了 确认取消
        算了 确认提交 / 确认提交🙃 / 确认提交❎ / 确认提交×
        确认提交吗 / 确认提交？ / 确认提交之前问一下 / 晚点再确认提交 / 还是换货吧 确认提交 / 我问问老婆再确认提交
        普票也行 确认提交 / 你们换吧，确认提交 / 个人的就行 确认提交 / 都退吧 确认提交
        请客服确认退款 / 麻烦客服确认提交
        别退了吧 确认提交 / 运费你们出就行 确认提交 / 再赔我点 确认提交 / 等等吧 确认提交
        先别确认提交 / 不确认提交 / 没确认提交啊 / 确认退款了 / 确认退款了没
        商家确认退款 / 怎么确认提交 / 确认 / 好的
        能确认提交么 / 取消吧 确认提交 / 确认取消还是不取消
        运费你们出就确认提交 / 点了确认提交没反应 / 确认退货地址
        确认提交按钮在哪 / 改成公司 确认提交 / 确认换货要几天 / 确认退款金额 / 已确认退款 / 确认修改成什么了
        确认收货 / 确认取消后能恢复吗 / 等货到了再确认提交 / 确认提交🤔 / 提交 / 如果包邮就确认提交
    """,
    "!yes !yes_weak": """
        晚点再确认提交 / 我问问老公再确认提交 / 还是换货吧 确认提交 / 改成换货 确认提交 / 邮费你们出就确认提交
        可以的话现在就交 / 如果包邮就可以 / 要是今天能到就确认 / 好贵 / 好贵啊 / 好慢 / 对了 / 对不起 / 对面 / 行李
        行李箱 / 好可爱 / 老板好 / 你好 / 大家好 / 好评 / 好久 / 好用吗 / 是吗 / 是嘛 / 是不是 / 是吧 / 确认？
        确认吗 / 确定吗? / 好吗 / 好吗好的 / 行不行 / 行吗 / 可以吗 / 可以么 / 可以退吗 / 可以不 / 好的呢? / 好的？
        对吗 / 对不对 / 没错吧? / 不确认 / 不可以 / 不好 / 不是 / 不对 / 别提交 / 先别退了 / 先不提交
        可以是可以但是运费谁出 / 好的，那运费呢 / 好的，但是我要换不是退 / 好的，等我看看 / 确认之前我问下
        确认一下地址 / 确认收货了 / 我没说退款我说赔偿
        你冇写换43码喎，会唔会又寄返42码 / 能不能取消这单啊 / 好的🤔
        可以🙄 / 确认👎 / 是昨天那单 / 对我来说太大了 / 是坏的 / 好像不行 / 要不算了 / 嗯 我要退货 / 行 那就换货
        好的 我的尾号是5678 / 提交了吗 / 提交了没 / 怎么提交 / 为什么要确认 / 确认什么 / ok? / is it ok / not ok
        ok but who pays / yes but not this one / sure? / right? / 同意什么 / 哪里确认 / 没问题吗 / 没问题了
        请确认 / 麻烦你确认 / 好的 你确认一下 / 嗯？？？我没要这个 / 那就行 / 是的话就退 / 好 3 / 好的5678
    """,
    "yes_weak !yes": """
        随便 / 随便吧 / 都行 / 都可以 / 应该可以 / 应该可以吧 / 大概吧 / 好像是 / 好像是的 / 看着办 / 你看着办吧
        你定 / 听你的 / 嗯？ / 可以吧 / 可以了 / 好了 / 也行 / 也可以 / 可能是 / 差不多 / 无所谓
        确认退款 / 确定取消 / 确认取消订单 / 没问题吧 / maybe / i guess / whatever / up to you
    """,
    "!yes_weak": "哦 / 噢噢 / 哦了",
    "no !yes": """
        不 / 不是 / 不是的 / 不对 / 不用 / 不要 / 不行 / 不可以 / 先不 / 先别 / 别 / 否 / no / nope / No, thanks
        唔系 / 唔係 / 唔要 / 不是这单 / 不是这个 / 换一单 / 都不是 / 没有 / 不，不是 / 不需要 / 不用谢谢 / 拒绝 / ❌
        🙅‍♀️ / not this one / 哒咩 / 不是我的 / 不用了
    """,
    "!no": """
        不要了 / 不想要了 / 不是吗 / 不是吧 / 不合适 / 不喜欢 / 别的 / 不知道 / 不错 / 不好意思 / 没收到 / 没问题
        not received / 不是裙子是裤子 / 不用券行吗
    """,
    "ack": """
        好的 / 嗯 / 哦 / 噢噢 / 知道了 / 我知道了 / 了解 / 明白 / 收到 / 这样啊 / 原来如此 / ok / 好吧 / 行
        哦哦 知道了 / 好的明白了 / got it / i see
    """,
    "ack !yes !yes_weak": """
        知道了 / 明白了 / 收到 / 这样啊 / 原来如此 / 好的，知道了 / 没关系
    """,
    "!ack": """
        知道了吗 / 明白什么 / 好的 我要退货 / 收到货了 / 不明白 / 哦那怎么退
    """,
    "thanks thanks_only": """
        谢谢 / 多谢 / 感谢 / 辛苦了 / 麻烦了 / 唔该 / 唔該晒 / thx / Thank you! / 好的，谢谢 / 好的 辛苦了
        知道了 谢谢哦 / 谢谢您的耐心 / 非常感谢 / 嗯嗯 好的 谢谢 知道了 / 🙏 / 蟹蟹 / 麻烦你了 / 谢谢老板
        thanks a lot
    """,
    "thanks !thanks_only !yes": """
        谢谢，帮我查下快递 / 我要退货，谢谢 / 好的谢谢，那运费谁出 / 麻烦你了，尽快发货 / thanks, where is my order
        谢谢，不用了
    """,
    "!thanks !thanks_only": """
        不用谢 / 不客气 / 太麻烦了 / 好麻烦啊 / 麻烦帮我查一下 / 不麻烦了 / 等得花都谢了 / 谢绝推销
    """,
    "bye": """
        再见 / 拜拜 / 88 / 886 / 晚安 / 回见
        bye / 好的，再见 / 没了谢谢 拜拜 / 谢谢！再见！ / Good night / see you
        那我先忙了
    """,
    "!bye": """
        8888 / 再见到这个再说 / 拜托快点 / 尾号88 / 明天见不到货就退 / bye the way where is it
    """,
    "leave !yes": """
        没事了 / 没有了 / 没了 / 没有咯 / 没啥了 / 暂时没有 / 不用了 / 不需要了 / 不用了谢谢 / 没有其他问题了
        没别的了 / 没有，谢谢 / 就这些 / 可以了 / 算了吧 没事 / 问题解决了 / 搞定了 / 不麻烦了 / 先这样
        没问题了，谢谢 / 好的 没了 / 谢谢 没有了 / 暂时没有了，谢谢😄 / 没有啦，辛苦 / that's all
        nothing else, thanks / 有事再找你 / no thanks
    """,
    "leave": """
        好了 就这样 / 就这样吧，谢谢
    """,
    "!leave": """
        没有 / 没有货了吗 / 没有了吗 / 没收到 / 没用了 / 货没了 / 券没了怎么回事 / 不用了，换成退款 / 没问题
        没有发票 / 不需要了怎么退 / 可以了吗 / 解决了吗 / 先这样，帮我退货
    """,
    "stop !yes": """
        算了 / 那算了 / 算了吧 / 不办了 / 不退了 / 先别退了 / 别退了 / 先不退了 / 不换了 / 不开了 / 不绑了
        不查了 / 不买了 / 我不想退了 / 取消吧 / 停 / 停一下 / 别弄了 / 先不弄了 / 不要提交 / 别提交 / 先别提交
        不提交 / 撤回 / 收回 / stop / cancel that / never mind / Forget it. / 下次再说 / 改天再办 / 我再想想
        太麻烦了，不弄了 / 手机号忘了 不弄了 / 要填这么多 算了 / 发票不开了 / 不退了，我留着穿 / 先别取消，我再看看
        听明白没？不退！！我要差价 / 我没说要换货，我要发票 / 不办退了 那券还在吗
        还是不换了吧 / 算了算了 / 先放着 / 那不换了 退吧 / 別退了 / changed my mind
    """,
    "wish": """
        想改一下报关资料 / 要办个团购 / 我需要盖章的收据 / 这边想预约一下安装 / 我们要定制一批杯子 / i want to change it
    """,
    "!wish": """
        我想问一下能改吗 / 不想改了 / 要求加急 / 不需要换 / 想要换过的那个 / 重要 / i want to know
    """,
    "unqueues": """
        不等了 / 我不想等了 / 不排了 / 取消排队吧 / 不用转人工了 / 别找客服了 / 把登记取消掉 / stop waiting
    """,
    "declines": """
        我不想退 我就想要货 / 唔想退 / 不是要退 就问问到哪了 / 不想换了 / 我不打算退 东西还要
    """,
    "!declines": """
        不想退 想换 / 能不能不退 / 我要退货 / 不要退款 给我换一个 / 不想要了 退 / 为什么不能退 / 不用退差价
    """,
    "tells_number": "ORD12345 这个是订单号 / 订单号是ORD12345 / 订单号：ORD12345 / ord12345 就是我的订单号",
    "!tells_number": "订单号在哪看 / 订单号是什么 / ORD12345 到哪了 / 订单号 ORD12345 退货",
    "asks_ways": "那你们准备怎么处理 / 怎么解决啊 / 店里打算怎么弄 / 那怎么赔",
    "!asks_ways": "怎么处理退货 / 旧的怎么处理 / 怎么退",
    "address_part": "5号楼前台 / 三栋二单元502 / 再加个302室 / 一楼",
    "!address_part": "3楼有电梯吗 / 43的有吗 / 2号到吗 / 江苏省苏州市工业园区星湖街328号",
    "!of_price         ": "我朋友的订单 ORD12345 尾号5678 到哪了 / 同款别的颜色现在多少钱",
    "human         ": "转 赶紧转 / 快转 / 那转吧",
    "lost         ": "那怎么办 / 咋办",
    "of_stock         ": "那43呢 / 44的有吗 / XL还有没有",
    "of_amount         ": "多少钱 / 一共多少钱",
    "as_before": """
        跟刚才一样啊 / 和上一张一样 / 抬头同上 / 抬头税号都一样
    """,
    "!as_before": """
        跟刚才说的不一样 / 一样的衣服 / 跟图片一样吗
    """,
    "!unqueues": """
        别退了 / 算了 我先走了 / 不等于没收到 / 不用券了 / 等人工上班再说
    """,
    "!stop": """
        不用发票能退吗 / 不用开票怎么报销 / 等了一周，都不退款 / 货不发，又不退款! / 申请了 不退款
        不要了 / 我不要了 / 不想要了 / 东西不要了，退货
        为什么不退！ / 你们就是不退！ / 凭什么，不退！ / 怎么不退了 / 为什么不换了 / 你们说好又不退了 / 是不是不退了
        不退了吗 / 不退了？ / 如果不退了会怎样 / 打不开了 / 走不开了 / 退不了了 / 特别换了一双 / 区别 / 别的
        要不换了吧 / 退款别退到支付宝 / 算了一下差三块 / 打算了解一下 / 取消订单 / 我要取消订单 / 停产了吗
        订单取消了没 / 其他就算了，鞋子要退 / 换个颜色算了给我黑的 / 算了，票就按个人开
    """,
    "wait !yes !stop": """
        等下 / 等一下 / 稍等 / 我找找 / 我看看手机 / 我去看一下单号 / 等会儿 / 一会儿发你 / 我问问老公 / hold on
        one sec / 先等等 / 好的等我下 / 等下啊，我找找手机 / 等等 我看看订单号 / 我去翻翻 / 等我找一下手机
        我先问问我妈 / wait / Hold on a sec / One moment, please / 好的，稍等 / 稍等我查下 / 在找了 / 我拍个照
        马上发你 / 等 / 我去拿快递单 / 忙着呢 / 翻一下短信
    """,
    "!wait": """
        等了三天了 / 等不及了 / 等货呢 / 等一下再退吧
        算了等下次吧 / 等等，退货要运费吗 / 不等了 / 我看看有什么活动
        我查查快递到哪了 / 我看下物流 / 我问问你们几点下班 / waiting for my parcel / 我找人工 / 找客服 / 找你们老板
        找领导 / 找不到单号 / 找个便宜的 / 查一下快递 / 查下订单
        我查下快递 / 看看加湿器 / 问问几天能到 / 我问一下
        just one / 看看 / 等多久 / 拍个照就能退吗
    """,
    "lost !wait": """
        不知道单号 / 真的不知道 / 忘了 / 找不到 / 找不到订单号啊
        不记得了 / 没有订单号 / 没有单号，在哪看 / 哪里看
        在哪看单号 / 不清楚尾号 / 单号是什么 / 订单号是啥？ / 单号忘了 / 不知道怎么找订单号 / 唔記得 / I don't know
        can't find it / where is my order number
    """,
    "!lost": """
        不知道要不要退 / 没有破损 / 快递找不到了 / 没拆 / 没有 / 没收到 / 是 / 找不到订单 / 忘了跟你说地址 / 没订单
        哪里有卖 / 我的快递在哪看
    """,
    "repeat": """
        再说一遍 / 刚才说什么 / 没看清 / 什么意思 / 啥意思？ / 没懂 / 没看懂 / 听不懂 / 再发一次 / 能再说一遍吗
        say again / pardon? / 你说什么 / 什么？ / 我没明白你的意思，再说一次
    """,
    "!repeat": """
        价保是什么意思 / 你是啥 / 什么时候发货 / 重发一次货 / 再买一次 / 没看到快递 / 重来一次 / 说什么都没用
    """,
    "question": """
        怎么退 / 能退吗 / 退货运费谁出 / 什么时候到 / 几天能到 / 多少钱 / 有没有货 / 能不能取消 / 行不行
        可不可以改地址 / 会不会缩水 / 是不是正品 / 要不要寄回 / 好不好用 / 帮我查下快递 / 看看有什么活动 / 是吧
        今天能到吧 / 包邮不 / 还有货没 / 发货没有 / 是纯棉的还是涤纶 / 快遞到邊度 / 點解未到 / 你講咩 / 得唔得
        我的呢 / 在么 / 送到嘛？ / where is my parcel / can I return it / 这个多重 / 换一双要多久 / 退到哪里
    """,
    "!question": """
        没问题 / 没什么 / 没什么事 / 质量问题 / 有点问题 / 什么都行 / 那么好吧 / 好的呢 / 好几天了 / 不怎么喜欢
        我要退货 / 好的 / 不了不了 / 不对不对 / 忙着呢 / 算了吧 / 哪个都不是 / 哪怕贵点也行 / 要么退款 / 早上好
        检查过了 / 查收 / 谢谢 / 快点 / 晚点搞 / 一点都不好 / 干净 / 我再看看 / please do it / 等我查一下单号
        里面什么都没有
    """,
    "presses": """
        给个准话 / 给个痛快话行不行 / 你给我个说法 / 给句实话 / 然后呢 / 那然后呢 / 所以呢？ / 那咋办 / 那怎么办啊
        说重点 / 直接说吧 / 直接说能不能 / 说清楚点 / 讲简单些 / 你别跟我说再等等 / 别再跟我说等了 / 别绕弯子了
        别老让我等 / 不想听套话 / 就这？ / 没了？ / 说人话 / 长话短说 / 给我个具体时间 / 都五天了，给个准话
        那咋办啊 给个准话 / 你查啊 / 你倒是处理啊
        so what now / then what? / get to the point / give me a straight answer
    """,
    "!presses": """
        怎么弄 / 怎么退 / 等等 / 别等了 / 不等了 / 给我个券 / 然后帮我开票 / 那好吧 / 就这样吧 / 就这个 / 别发了
        给我退了吧 / 直接退款 / 说明书呢 / 然后 / 清楚了 / 给个链接 / 别打电话 / 没了 / 别说了 / 漏水了咋办 / 让我等等
    """,
    "buys": """
        要了 / 行 要了 / 我要了 / 拿下 / 那就买了 / 行吧 买了 / 给我来一个 / 来一双吧 / 下单 / i'll take it
    """,
    "!buys": """
        不要了 / 我买了 / 要不要 / 就这个 / 第一个 / 我要退 / 要发票 / 来了吗 / 买了两天 / 怎么退 / 那就换一个
        下单了没发货
    """,
    "reproaches": """
        你没看懂我说的 / 你根本没听懂 / 你到底看没看我说的啥 / 答非所问 / 我问的不是这个 / 我不是这个意思 / 你理解错了
        不是问你这个 / 怎么每次都答一样的 / 你怎么老说这一句 / 复读机吗 / 你听不懂我的话吗 / 你有没有认真看我说什么
        你没回答我的问题 / not what I asked / you don't understand me / you keep saying the same thing
    """,
    "!reproaches": """
        你们搞错了 / 我没看懂 / 没听清 / 你看一下 / 我不懂 / 我要的不是红色 / 不是这单 / 你没发货 / 你们没回我
        我问的是运费 / 这个不对 / 发错了 / 我说的是换货 / 不是这个
    """,
    "restates": """
        我问的是运费 / 我不是孕妇，问的是敏感肌 / 我是问发票什么时候开好 / 不是问这个 / 我没问活动 / 答非所问
        我係問發票呀 / 问的是退到哪张卡 / 我又没问你积分 / i asked about the invoice / that's not what i asked
        你看清楚我问的是定制的
    """,
    "!restates": """
        快递没问就放驿站了 / 我没问题了 / 想问的是能不能退 / 是不是问题商品 / 请问怎么退 / 我想问下运费 / 师傅没问过我
        问了好几遍了 / 我说的是换货 / 没人问我要不要 / 是我问错了 / 不是质量问题 / 别问了 / 你问的什么
    """,
    "objection": """
        我没说要退 / 我没说退款我说赔偿 / 我说的是换货 / 我要的是43码 / 不是这样的 / 不是退，是换 / 谁说要退了
        你搞错了 / 弄错了 / 你没听懂 / 不对吧 / 怎么是两百 / 凭什么 / 但是运费谁出 / 可是还没到 / 不过我要先看看
        而且我已经寄了 / 你冇写换43码喎，会唔会又寄返42码 / 你没写退多少 / 怎么又是这句 / 可以是可以但是运费谁出
        答非所问 / 明明说包邮 / but i paid already / that's not what i said / 我不是这个意思
    """,
    "!objection": """
        不过敏 / 好的 / 我没问题 / 是不是真的 / 我要退货 / 但愿明天能到 / 怎么才能开发票 / 谢谢
    """,
    "condition": """
        如果包邮就退 / 要是明天不到我就退 / 可以的话现在交 / 万一丢了 / 除非免费 / 等收到再说 / 先发货再退
        假如不合适 / if it is free / unless you pay / 等几天再退
    """,
    "!condition": """
        主要是太小了 / 先生你好 / 普通话 / 再见 / 等了三天 / 好的 / 需要是红色 / 只要一个 / 你说的话
    """,
    "negation": """
        不想退 / 没收到 / 别发了 / 唔要 / 冇收到 / 未收到 / 不要红的 / 没拆 / not yet / don't want it / 不知道
        甭管了
    """,
    "!negation": """
        不好意思 / 不错 / 没问题 / 没错 / 差不多 / 不客气 / 对不起
        别的 / 没事 / 能不能退 / 有没有货 / 特别好 / 区别
        唔该 / 没关系 / 冇问题 / 是不是 / 未来 / 不仅便宜
    """,
    "urgent": """
        快点 / 快一点 / 急 / 很急 / 赶紧 / 尽快 / 马上要用 / 加急 / 我着急 / 急用 / asap / 帮我催一下 / 快些发货
        抓紧
    """,
    "!urgent": """
        不急 / 不着急 / 别急 / 急救包 / 快递 / 快递点在哪 / 一点不快 / 应急灯 / 马上到 / 慢慢来
    """,
    "human": """
        人工 / 转人工 / 真人 / 客服来 / 找你们经理 / 人工客服 / 叫个人 / real person / agent / 我要转人工
        我要人工客服 / 给我接人工 / 叫你们老板来 / 让你们负责人跟我谈 / 找个真人 / 能转人工吗 / 有人工吗 / 人工在吗
        我找人工 / 轉人工 / talk to a human / 别废话，转人工 / 你听不懂，转人工 / 给我回个电话 / 换人
    """,
    "!human": """
        人工智能 / 你是人工吗 / 你是真人吗 / 你是人工还是机器 / 是不是真人 / 不用转人工 / 不要转人工
        别给我转人工了，接着说 / 人工费多少 / 人工客服几点上班 / 客服电话多少 / 没人给我打电话 / 客服让我退的
        还要人工审核啊 / 人工审核要几天
        are you human / am i talking to a human / 人工草坪 / 客服说今天到 / 找个便宜的 / 京东给我打电话我没接到
    """,
    "all": """
        全部 / 都退 / 都要退 / 两个都 / 两个都要 / 俩都退 / 一起 / 一起退 / 整单 / 所有 / both / all of them / 全退
        全部都要 / 那两个一起吧 / 两单都开 / 都开票
    """,
    "!all": """
        鞋底都开胶了 / 杯子都开裂了 / 都开不了机
        都说了 / 一起买的 / 一起发货 / 全新 / 额度全 / 我就要一个 / not at all / 都到了 / 大全
    """,
    "correction": """
        说错了 / 说错了，是3306 / 写错了 / 发错了 / 打错了 / 不对，是裙子 / 改成质量问题 / 改一下 / 换成ORD99001
        不对，应该是两件 / 应该是3305 / 更正：尾数7350 / 手滑 / 输错了 / 我选错了 / 以这个为准 / sorry wrong number
        i meant the other one / 不是退款，是退货 / 刚才发错了 / 错了错了
    """,
    "!correction": """
        你们发错了 / 发错颜色了 / 你们弄错了 / 发错货了 / 是不是搞错了 / 不错 / 没错 / 应该是吧 / 好的 / 不是
        手滑买的 / 报错了
    """,
}

ROWS = [
    (text.strip(), wanted)
    for wanted, texts in SAID.items()
    for line in texts.strip().splitlines()
    for text in line.split(" / ")
]


@pytest.mark.parametrize(("text", "wanted"), ROWS)
def test_acts(text: str, wanted: str) -> None:
    acts = set(ACTS.of(text))
    must = {act for act in wanted.split() if not act.startswith("!")}
    must_not = {act[1:] for act in wanted.split() if act.startswith("!")}
    assert must <= acts, f"lacks {must - acts}"
    assert not must_not & acts, f"should not be {must_not & acts}"


@pytest.mark.parametrize("text", [text for text, wanted in ROWS if "yes" in wanted.split()])
def test_a_yes_is_not_in_doubt(text: str) -> None:
    doubts = {"question", "objection", "condition", "negation", "no", "stop", "wait", "lost", "repeat", "yes_weak"}
    assert doubts.isdisjoint(ACTS.of(text))


def test_a_letter_with_a_mark_is_no_yes() -> None:
    assert "yes" in ACTS.of("y") and "yes" not in ACTS.of("\u00a8y")


def test_the_table_is_large() -> None:
    assert len(ROWS) > 800
    assert {act.lstrip("!") for wanted in SAID for act in wanted.split()} == set(read_yaml_file(FILE)["acts"])


@pytest.mark.parametrize(
    "text", ["/affirm", '/inform{"order_id": "ORD12345"}', "  /affirm", "\n/yes", "", " ", "。。。", "🌀"]
)
def test_a_payload_and_what_says_nothing_have_no_acts(text: str) -> None:
    assert ACTS.of(text) == []


@pytest.mark.parametrize(
    "text", ["不退" * 5000, "好的，" * 3000, "嗯好的谢谢" * 8, "先等再" * 3000, "human or what " * 700]
)
def test_no_message_takes_long(text: str) -> None:
    started = time.process_time()  # of this process: others may be at work
    ACTS.of(text)
    assert time.process_time() - started < 1


def finder(folder: Path, file: Path) -> ActFinder:
    storage, resource = LocalModelStorage(folder), Resource("acts")
    config = {"file": str(file)}
    ActFinder.create(config, storage, resource, None).train(TrainingData())
    return ActFinder.load(config, storage, resource, None)


def test_the_model_holds_the_patterns(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    file = tmp_path / "acts.yml"
    file.write_bytes(FILE.read_bytes())
    loaded = finder(tmp_path / "model", file)
    file.unlink()
    messages = loaded.process([Message({"text": "好的，谢谢"}), Message({"text": "鞋子"}), Message({})])
    assert [message.get("acts") for message in messages] == [["yes", "ack", "thanks", "thanks_only", "accepts"], [], []]
    assert messages[0].as_dict(only_output_properties=True)["acts"]


def test_a_changed_file_is_learned_anew(tmp_path: Path) -> None:
    file = tmp_path / "acts.yml"
    file.write_bytes(FILE.read_bytes())
    config = {"file": str(file)}
    before = ActFinder.fingerprint_addon(config)
    assert before == ActFinder.fingerprint_addon(config)
    file.write_text(FILE.read_text("utf-8").replace("确认", "认确"), "utf-8")
    assert ActFinder.fingerprint_addon(config) != before
    assert ActFinder.fingerprint_addon({"file": str(tmp_path / "none.yml")}) is None
    ActFinder.fingerprint_addon({"threshold": 0.4})  # another node's


SLIPS: list[tuple[list[str], Any, str]] = [
    (["acts", "stop", "whole"], ["算(了"], r"stop\.whole: '算\(了' is no regular expression"),
    (["acts", "stop", "whole"], [], r"stop\.whole: a list"),
    (["acts", "stop", "whole"], "算了", r"stop\.whole: a list"),
    (["acts", "bye", "whole"], [88], r"bye\.whole: patterns in quotes"),
    (["acts", "stop", "begin"], ["算了"], "stop: whole, part"),
    (["acts", "stop"], {}, "stop: whole, part"),
    (["acts", "stopp"], {"whole": ["算了"]}, "acts: exactly"),
    (["acts", "all", "part"], ["{everything}"], r"all\.part: no pieces .* everything"),
    (["acts", "all", "part"], ["BOTH"], r"all\.part: small letters"),
    (["acts", "yes", "whole"], ["(好)\\1"], r"yes\.whole: \(\?:…\)"),
    (["pieces", "ack"], ["{consent}"], r"pieces\.ack: no pieces"),
    (["pieces", "Ack"], ["好"], r"pieces\.Ack: small letters"),
    (["patterns"], {}, "signs, spoken, pieces and acts"),
    (["spoken", "对"], ["唔"], "spoken: 唔 once"),
    (["spoken", "对"], "啱", r"spoken\.对: a list"),
    (["signs"], "", "signs"),
]


@pytest.mark.parametrize(("place", "value", "told"), SLIPS)
def test_a_slip_is_told_with_file_and_act(tmp_path: Path, place: list[str], value: Any, told: str) -> None:
    content = copy.deepcopy(read_yaml_file(FILE))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    write_yaml(content, tmp_path / "acts.yml")
    with pytest.raises(InvalidConfigException, match=rf"(?s)acts\.yml: .*{told}"):
        finder(tmp_path, tmp_path / "acts.yml")


def test_a_file_that_is_no_list_of_acts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acts.yml").write_text("[]", "utf-8")
    with pytest.raises(InvalidConfigException, match=r"acts\.yml"):
        read_acts(tmp_path / "acts.yml")
