// Plays samples from a ring buffer, on the thread that computes audio.
//
// In: {samples} adds sound; {end} says that no more comes; {from} drops what waits and says which sample comes next.
// Out: {from, position, played, buffered, gaps, ended}: the place that the last `from` gave, the next sample to play,
// how many were played and how many wait, how often there were none in time, and whether everything was played.

const RING_SECONDS = 30; // as in page.js
const REPORT_SECONDS = 0.03;
const REFILL_SECONDS = 0.2; // after a gap, gather this much before playing on

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new Float32Array(RING_SECONDS * sampleRate);
    this.from = 0;
    this.read = 0; // both count samples since `from`
    this.written = 0;
    this.played = 0;
    this.gaps = 0;
    this.flowing = false;
    this.starved = false;
    this.last = false;
    this.ended = false;
    this.reported = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take({ samples, end, from }) {
    if (from !== undefined) {
      this.from = from;
      this.read = this.written = 0;
      this.last = this.ended = this.starved = this.flowing = false;
    }
    if (samples) {
      for (const sample of samples) {
        this.ring[this.written % this.ring.length] = sample / 32768;
        this.written += 1;
      }
    }
    if (end) this.last = true;
  }

  process(_inputs, [[out]]) {
    const waiting = this.written - this.read;
    const enough = this.starved ? REFILL_SECONDS * sampleRate : 1;
    if (!this.flowing && (waiting >= enough || (this.last && waiting))) this.flowing = true;
    const count = this.flowing ? Math.min(waiting, out.length) : 0;
    for (let index = 0; index < count; index += 1) {
      out[index] = this.ring[this.read % this.ring.length];
      this.read += 1;
    }
    this.played += count;
    if (this.flowing && count < out.length) {
      this.flowing = false;
      if (!this.last) {
        this.gaps += 1;
        this.starved = true;
      }
    }
    const ended = this.last && this.read === this.written;
    if (ended !== this.ended || currentTime - this.reported > REPORT_SECONDS) {
      this.ended = ended;
      this.reported = currentTime;
      this.port.postMessage({
        from: this.from,
        position: this.from + this.read,
        played: this.played,
        buffered: this.written - this.read,
        gaps: this.gaps,
        ended,
      });
    }
    return true;
  }
}

registerProcessor("player", Player);
