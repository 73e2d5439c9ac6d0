"""What a message asks of the conversation, and what follows: commands, the stack of flows, and the policy around them.

``flows`` reads ``bot/data/flows``; ``commands.understand`` and ``stack.hear``, ``did`` and ``decide`` are pure
functions over plain values; ``policy`` is Rasa's side of them. See docs/conversation.md.
"""
