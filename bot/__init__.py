"""The bot: what it understands and says. ``python -m bot serve`` runs it, ``python -m bot train`` trains it.

``data/``, ``domain.yml`` and ``config.yml`` belong to the trainers; ``components/`` runs inside the Rasa server and
``actions/`` in the action server, each in its own environment. Nobody imports this room: it is reached over HTTP.
"""
