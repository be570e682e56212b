"""A page and an API on the device: what `cxr-edge serve` runs.

::

    problems.py     the response to a request that gets no result
    clients.py      who a client is, for what each may take
    admission.py    how many requests and bytes are admitted at once, of all and of a client
    uploads.py      a request's body as films, in memory, within the limits
    workers.py      threads with an engine each
    film_response.py  from a film to classify's JSON, with a map if asked for
    dicom_response.py from DICOM answers to a response, if asked for
    model_card.py   which model classifies, and its card as a page
    openapi.py      the description of the API
    classifying.py  a request with films, from its admission to a response that was received
    app.py          the routes
    middleware.py   the layers around the routes; one reads the rest of a body that was refused
    security.py     token, headers, requests from other sites
    connections.py  how many there are, of all and of a client, and how slow one may be
    systemd.py      what systemd is told, where it started the server
    server_log.py   a line per request, as text or as JSON
    server.py       uvicorn around it, and its end
    page/           the page: no build step, nothing from elsewhere
"""
