"""What a message asks of the conversation, and what follows: commands, the stack of flows, and the policy around them.

``flow_files`` reads ``bot/data/flows``; ``commands.understand`` and ``stack.hear``, ``did`` and ``decide`` are pure
functions over plain values; ``policy`` is Rasa's side of them. See docs/conversation.md.

``commands`` has the order in which a message is read. Each question stands in the file of what it is about, a function
of a ``reading.Reading`` that answers with commands, or with none: ``consent`` (yes and no), ``endings`` (stop, leave,
pause), ``handoff`` (a person), ``follow_ups`` (what was told, written or refused), ``corrections``, ``wishes``,
``answers`` (values, own words, nothing).
"""
