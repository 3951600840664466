"""One HTTPS request, sent from a node by its own Python, which gets this file unchanged.

    python3 -c THIS FILE

The file REQUEST has the request in JSON: host, port, ca (PEM), method, path, headers and body (in
base64). It may contain a password, and is deleted before the request is sent. The answer is a line
of JSON on standard output: status, headers, and body in base64. Errors are on standard error, with
code 1. Imports are limited to the python3 of Debian 12.
"""

import base64
import http.client
import json
import ssl
import sys
from pathlib import Path


def main(request: str) -> None:
    file = Path(request)
    asked = json.loads(file.read_text())
    file.unlink()
    context = ssl.create_default_context(cadata=asked["ca"])
    try:
        connection = http.client.HTTPSConnection(
            asked["host"], asked["port"], context=context, timeout=25
        )
        body = base64.b64decode(asked["body"]) if asked["body"] is not None else None
        connection.request(asked["method"], asked["path"], body, asked["headers"])
        answer = connection.getresponse()
        content = base64.b64encode(answer.read()).decode()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(str(error) or type(error).__name__)
    print(json.dumps([answer.status, dict(answer.headers), content]))


if __name__ == "__main__":
    main(sys.argv[1])
