"""The mall over HTTP: ``server`` offers a mall to other programs, ``client`` asks one that runs elsewhere.

What both sides must agree on stands in ``operations`` (which method of a port is which request) and ``problems`` (how
an error is told). The document that other malls may be written against is ``GET /mall/openapi.json``.
"""
