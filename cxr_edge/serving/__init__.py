"""A page and an API on the device: what `cxr-edge serve` runs.

::

    problems.py     what is answered instead of a result, and how it looks as JSON
    admission.py    how many requests and bytes are taken on at once
    uploads.py      a request's body as films, in memory, within the limits
    workers.py      threads with an engine each
    film_response.py  a film to the JSON of `classify --json`, with a map where one is asked for
    prediction_recorder.py  a row a film in a log, which never keeps a client waiting long
    model_card.py   the model card as a page
    openapi.py      the description of the API
    classifying.py  a request with films, from taking it on to an answer that was taken
    app.py          the routes
    middleware.py   what the layers around the routes share: the next two and the log
    security.py     token, headers, requests from other sites
    draining.py     a refusal reaches a client that is still sending
    connections.py  how many there are, and how long one may stall
    server.py       uvicorn around it, its log and its end
    page/           the page: no build step, nothing from elsewhere
"""
