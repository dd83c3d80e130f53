// A waveform that grows: the loudest sample of each 10 ms, as many to a column as fit.

const BIN = 240;
const QUIET = 3000; // so loud fills the height, and what is louder makes the rest smaller

export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.peaks = [];
    this.loudest = QUIET;
    this.samples = 0;
    this.draw(0);
  }

  add(samples) {
    for (const sample of samples) {
      const bin = Math.floor(this.samples / BIN);
      this.peaks[bin] = Math.max(this.peaks[bin] ?? 0, Math.abs(sample));
      this.loudest = Math.max(this.loudest, this.peaks[bin]);
      this.samples += 1;
    }
  }

  // `position`: the sample that plays next.
  draw(position) {
    const { canvas, peaks } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const style = getComputedStyle(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const bins = Math.max(peaks.length, 1000); // ten seconds fill the width, and more is compressed
    const column = 3 * scale;
    for (let left = 0; left < width; left += column) {
      const first = Math.floor((left / width) * bins);
      const after = Math.max(first + 1, Math.floor(((left + column) / width) * bins));
      if (first >= peaks.length) break;
      let peak = 0;
      for (let bin = first; bin < Math.min(after, peaks.length); bin += 1) peak = Math.max(peak, peaks[bin]);
      const tall = Math.max(scale, (peak / this.loudest) * height);
      context.fillStyle = style.getPropertyValue(first * BIN < position ? "--main" : "--wave");
      context.fillRect(left, (height - tall) / 2, column - scale, tall);
    }
    if (!peaks.length) {
      context.fillStyle = style.getPropertyValue("--line");
      context.fillRect(0, height / 2, width, scale);
    }
  }
}
