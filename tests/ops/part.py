"""A stand-in for a part of the house: `part.py PORT FOLDER [worker] [dies] [rests] [warns PART…]` serves /healthz.

`worker` gives it a child that does not notice its parent's death, as a server's workers do not; `dies` makes it fail at
once, `rests` end well at once; `warns` lets the health warn of these parts. The folder is there to be found in the
command line.
"""

import http.server
import json
import subprocess
import sys

port, folder, *traits = sys.argv[1:]

if "rests" in traits:
    sys.exit()
if "dies" in traits:
    sys.exit("cannot read the key ring")
if "worker" in traits:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", folder])


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        warnings = [{"part": part, "text": f"{part} is ailing"} for part in traits[1:] if traits[0] == "warns"]
        self.wfile.write(json.dumps({"status": "ok", "parts": {}, "warnings": warnings}).encode())


print(f"listening on {port}", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Health).serve_forever()
