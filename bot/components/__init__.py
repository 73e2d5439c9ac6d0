"""What runs inside the Rasa server (Python 3.10): graph components, the gateway channel, the tracker store, patches.

Rasa finds each class by its full name in ``config.yml``, ``credentials.yml`` and ``endpoints.yml``: nothing is imported
here.
"""
