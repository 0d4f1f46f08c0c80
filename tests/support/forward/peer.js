// Runs the FluentServer of the npm package @fluent-org/logger as a peer. Standard output gets `READY <port>`, then one
// JSON line an entry. It ends with its standard input, so that it never outlives the test that started it.
//
// The only argument is a JSON object; all of it may be left out: {"host", "port", "sharedKey", "hostname",
// "users": {name: password}, "tls": {"key", "cert", "ca", "requestCert"} (PEM)}.

"use strict";

const { FluentServer } = require("@fluent-org/logger");

const asked = JSON.parse(process.argv[2] || "{}");
const options = { listenOptions: { host: asked.host || "127.0.0.1", port: asked.port || 0 } };
if (asked.sharedKey !== undefined) {
  options.security = {
    serverHostname: asked.hostname || "server.example",
    sharedKey: asked.sharedKey,
    authorize: asked.users !== undefined,
    userDict: asked.users || {},
  };
}
if (asked.tls) {
  options.tlsOptions = { ...asked.tls, rejectUnauthorized: asked.tls.requestCert === true };
}

// A number beyond what JSON can say exactly would otherwise end the peer.
const exact = (key, value) => (typeof value === "bigint" ? value.toString() : value);

const server = new FluentServer(options);
server.on("entry", (tag, time, record) => {
  const seconds = typeof time === "number" ? time : time.epoch;
  const nanos = typeof time === "number" ? 0 : time.nano;
  process.stdout.write(JSON.stringify({ tag, seconds, nanos, record }, exact) + "\n");
});
server.listen().then(() => process.stdout.write(`READY ${server.port}\n`));

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
