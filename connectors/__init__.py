"""How people reach the shop assistant: the gateway with the web chat, and the chat in a terminal.

``python -m connectors`` serves the gateway, ``python -m connectors chat`` talks to a running one. No other room but ops
imports this one; it speaks to the bot over HTTP only. The gateway and its dashboard also ask the graph.
"""
