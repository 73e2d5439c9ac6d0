"""What the bot does: one file per capability, thin over the mall.

An action reads the tracker, asks a room, and says the answer with a response of ``bot/domain.yml``. Run by
``python -m bot.actions`` (rasa-sdk's action server, app environment). Everything that writes carries an idempotency key
that was put into the tracker in an earlier turn, so a turn that is played again after a crash writes once.
"""
