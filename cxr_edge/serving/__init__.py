"""A page and an API on the device: what `cxr-edge serve` runs.

::

    refusals.py   what is answered instead of a result, and how it looks as JSON
    admission.py  how many requests and bytes are taken on at once
    uploads.py    a request's body as films, in memory, within the limits
    workers.py    threads with an engine each
    answers.py    a film to the JSON of `classify --json`, with a map where one is asked for
    security.py   token, headers, requests from other sites
    openapi.py    the description of the API
    app.py        the routes
    server.py     uvicorn around it, and its end
    page/         the page: no build step, nothing from elsewhere
"""
