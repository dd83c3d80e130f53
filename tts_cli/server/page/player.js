// The main thread's side of worklet.js: one AudioContext, and what the worklet has reported.

const RING_SECONDS = 30; // as in worklet.js
const DRAIN_MS = 300;

export class Player {
  // `changed` is called after each report.
  constructor(rate, changed) {
    this.rate = rate;
    this.changed = changed;
    this.position = 0; // the sample of the sound that plays next
    this.given = 0; // the sample that the worklet gets next
    this.start = 0;
    this.played = 0;
    this.gaps = 0;
    this.started = 0; // when the first sample was played, as performance.now() has it
    this.ended = false;
    this.closed = false;
    this.told = false; // that no more comes
    this.port = null;
    this.failure = ""; // why it cannot play
    this.ready = this.open().catch((error) => {
      this.failure = error.message;
      throw error;
    });
  }

  async open() {
    if (!window.AudioContext || !window.isSecureContext) {
      throw new Error("This browser plays only pages of localhost or with HTTPS. Download works.");
    }
    this.context = new AudioContext({ sampleRate: this.rate });
    await this.context.audioWorklet.addModule("/page/worklet.js");
    if (this.closed) return;
    const node = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => this.report(data);
    node.port.postMessage({ from: this.start });
    node.connect(this.context.destination);
    this.node = node;
    this.port = node.port;
  }

  report({ from, position, played, gaps, ended }) {
    if (from !== this.start || this.closed) return; // from before a skip
    if (played && !this.started) this.started = performance.now();
    Object.assign(this, { position, played, gaps, ended: ended && this.told });
    this.changed();
  }

  // Whether there was room for these samples.
  takes(samples) {
    const waiting = this.given - this.position;
    if (!this.port || waiting + samples.length > RING_SECONDS * this.rate) return false;
    this.port.postMessage({ samples });
    this.given += samples.length;
    return true;
  }

  end() {
    if (this.told || !this.port) return;
    this.told = true;
    this.port.postMessage({ end: true });
  }

  // Drop what waits, and go on with this sample.
  from(sample) {
    this.start = this.position = this.given = sample;
    this.told = this.ended = false;
    this.port?.postMessage({ from: sample });
  }

  // Pause or go on. Returns whether it is paused.
  async toggle() {
    const paused = this.context?.state === "running";
    await (paused ? this.context.suspend() : this.context?.resume());
    return paused;
  }

  // Fall silent. What the worklet has given is on its way to the device, and may play to its end.
  close() {
    if (this.closed) return;
    this.closed = true;
    if (!this.ended) this.node?.disconnect();
    setTimeout(() => this.context?.close(), DRAIN_MS);
  }
}
