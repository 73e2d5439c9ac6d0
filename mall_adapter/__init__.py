"""The mall's room: what the house can do with orders, goods, tickets and coupons. SQL lives only here."""
