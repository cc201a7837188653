/** For tests of the client in a browser: a WebSocket whose server is the test, and what a subscription has heard. */
window.FakeSocket = class {
  static all = [];
  sent = [];
  readyState = 0;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  open(...frames) {
    this.readyState = 1;
    this.onopen();
    frames.forEach((frame) => this.say(frame));
  }

  say(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }

  lose(code = 1006) {
    this.readyState = 3;
    this.onclose({ code });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }
};

/** Return a list that fills with the names and versions of what is heard: "ready 3". */
window.listen = (subscription) => {
  const heard = [];
  for (const type of ["started", "progress", "ready", "failed"]) {
    subscription.addEventListener(type, ({ detail }) => heard.push(`${type} ${detail.version}`));
  }
  subscription.addEventListener("gone", () => heard.push("gone"));
  return heard;
};

window.frame = (event, version, state = event === "ready" ? "complete" : "running", id = "a") => {
  return { event, job: { id, state, version } };
};
