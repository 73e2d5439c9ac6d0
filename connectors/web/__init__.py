"""The web chat: its page and the cookie that says which visitor is speaking."""
