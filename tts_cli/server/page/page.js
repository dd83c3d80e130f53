// The page of `tts serve`: asks for speech over a WebSocket, plays it, and shows how it comes.

import { Player } from "/page/player.js";
import { Wave } from "/page/wave.js";

const PROTOCOL = "tts";
const RETRY_SECONDS = 2;
const PIECE = 24_000; // the most samples that the player gets at once

const $ = (id) => document.getElementById(id);
const wave = new Wave($("wave"));

let settings = null;
let run = null; // the utterance that is shown

// The token is kept for this tab only.
const token = () => sessionStorage.getItem("token") ?? "";

function askForToken() {
  return new Promise((resolve) => {
    $("ask").addEventListener(
      "close",
      () => {
        sessionStorage.setItem("token", $("token").value);
        $("token").value = "";
        resolve();
      },
      { once: true },
    );
    $("ask").showModal();
  });
}

async function load() {
  for (;;) {
    const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
    let response;
    try {
      response = await fetch("/page/settings", { headers });
    } catch {
      tell("The server does not answer.", true);
    }
    if (response?.ok) {
      settings = await response.json();
      tell("");
      return show();
    }
    if (response?.status === 401) {
      if (token()) tell("This token is wrong.", true);
      await askForToken();
      continue;
    }
    if (response) tell((await response.json()).error.message);
    await new Promise((resolve) => setTimeout(resolve, 1000 * RETRY_SECONDS));
  }
}

function show() {
  $("engine").textContent = settings.engine;
  $("voice").replaceChildren(...settings.voices.map((name) => new Option(name, name, false, name === settings.voice)));
  $("strategy").append(...settings.strategies.map((name) => new Option(name, name)));
  for (const [id, [least, most]] of Object.entries(settings.bounds)) Object.assign($(id), { min: least, max: most });
  $("strategy-field").hidden = !settings.strategies.length;
  $("speak").disabled = false;
}

function tell(message, wrong = false) {
  $("message").textContent = message;
  $("message").classList.toggle("wrong", wrong);
}

function set(id, value, shown) {
  $(id).value = String(value);
  $(id).textContent = shown;
}

const seconds = (samples) => `${(samples / settings.sample_rate).toFixed(2)} s`;

class Run {
  constructor(wish) {
    this.began = performance.now();
    this.sound = []; // Int16Array of at most PIECE samples; each segment begins one
    this.received = 0;
    this.segments = []; // {text, at}
    this.over = false; // nothing more comes
    this.fed = 0; // how many of them the player has
    this.skipping = false; // until the next segment comes
    this.rtf = null;
    this.player = new Player(settings.sample_rate, () => {
      this.feed();
      this.draw();
    });
    this.player.ready.then(
      () => this.feed(),
      () => {
        tell(this.player.failure, true);
        this.draw();
      },
    );
    const protocols = [PROTOCOL];
    if (token()) protocols.push(`token.${btoa(token()).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "")}`);
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/tts`, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.socket.send(JSON.stringify({ type: "speak", ...wish }));
    this.socket.onmessage = ({ data }) => {
      if (this.over) return;
      if (typeof data === "string") this.event(JSON.parse(data));
      else this.chunk(new Int16Array(data));
      this.draw();
    };
    this.socket.onclose = ({ reason }) => this.end(reason || "The connection to the server has ended.", true);
  }

  event(event) {
    if (event.type === "start") {
      if (!this.player.failure) tell("Speaking");
    } else if (event.type === "segment") {
      this.segments.push({ text: event.text, at: this.received });
      if (this.skipping) this.goOn(this.received);
    } else if (event.type === "error") {
      this.end(event.error.message, true);
    } else if (event.type === "done") {
      this.rtf = event.rtf;
      this.end(event.notices?.join(" ") ?? "");
    }
  }

  chunk(samples) {
    for (let at = 0; at < samples.length; at += PIECE) this.sound.push(samples.subarray(at, at + PIECE));
    this.received += samples.length;
    wave.add(samples);
    $("download").disabled = false;
    this.feed();
  }

  end(message, wrong = false) {
    if (this.over) return;
    this.rtf ??= this.rtfSoFar;
    this.over = true;
    if (this.skipping) this.goOn(this.received);
    this.socket.close();
    const { failure } = this.player;
    tell(message || failure, wrong || (!message && failure !== ""));
    this.feed();
    this.draw();
  }

  // Give the player as much as its ring has room for.
  feed() {
    if (this.skipping) return;
    while (this.fed < this.sound.length && this.player.takes(this.sound[this.fed])) this.fed += 1;
    if (this.over && this.fed === this.sound.length) this.player.end();
  }

  // Play from this sample, which begins a segment or is the end.
  goOn(sample) {
    this.skipping = false;
    this.fed = 0;
    for (let at = 0; at < sample; this.fed += 1) at += this.sound[this.fed].length;
    this.player.from(sample);
    this.feed();
  }

  skip() {
    const next = this.segments.find(({ at }) => at > this.player.position);
    if (next || this.over) {
      this.goOn(next ? next.at : this.received);
    } else if (!this.skipping && this.received) {
      this.skipping = true;
      this.player.from(this.received);
      this.socket.send(JSON.stringify({ type: "skip" }));
    }
    this.draw();
  }

  stop() {
    if (this.playing) {
      this.end("");
      tell("Stopped");
    }
    this.player.close();
    this.draw();
  }

  get playing() {
    const { closed, ended, failure } = this.player;
    return !closed && (!this.over || !(ended || failure)); // all may have come before the player is open
  }

  get rtfSoFar() {
    return (performance.now() - this.began) / 1000 / (this.received / settings.sample_rate);
  }

  // Draw once before the browser shows the next picture.
  draw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (run === this) this.show();
    });
  }

  show() {
    const { position, played, gaps, started } = this.player;
    if (started) set("first", started - this.began, `${Math.round(started - this.began)} ms`);
    const rtf = this.rtf ?? this.rtfSoFar;
    if (this.received) set("rtf", rtf, rtf.toFixed(3));
    set("buffer", this.received - position, seconds(Math.max(0, this.received - position)));
    set("gaps", gaps, String(gaps));
    set("heard", played, seconds(played));
    set("received", this.received, seconds(this.received));
    const sentence = this.segments.findLast(({ at }) => at <= Math.max(0, position - 1))?.text ?? "";
    if ($("sentence").textContent !== sentence) $("sentence").textContent = sentence;
    for (const id of ["pause", "skip", "stop"]) $(id).disabled = !this.playing;
    if (!this.playing) {
      showPaused(false);
      this.player.close();
    }
    wave.draw(position);
  }
}

function speak() {
  if (!$("wish").reportValidity() || !settings) return;
  run?.stop();
  for (const id of ["first", "rtf"]) set(id, "", "–");
  showPaused(false);
  wave.clear();
  $("download").disabled = true;
  tell("Waiting for the server");
  const chunk = $("chunk").valueAsNumber;
  const wish = { text: $("text").value, voice: $("voice").value };
  if ($("strategy").value) wish.strategy = $("strategy").value;
  if (chunk) wish.chunk = chunk;
  const speed = $("speed").valueAsNumber;
  if (speed !== 1) wish.speed = speed;
  run = new Run(wish);
  run.show(); // at once: Stop works from here on, and the numbers are those of this utterance
}

function showPaused(paused) {
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Resume" : "Pause";
}

function download() {
  const rate = settings.sample_rate;
  const header = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  header.setUint32(4, 36 + 2 * run.received, true);
  word(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // mono
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  word(36, "data");
  header.setUint32(40, 2 * run.received, true);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([header, ...run.sound], { type: "audio/wav" }));
  link.download = "speech.wav";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

$("wish").addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
const showSpeed = () => ($("pace").textContent = $("speed").valueAsNumber.toFixed(2));
$("speed").addEventListener("input", showSpeed);
showSpeed(); // the browser may have kept another value
$("pause").addEventListener("click", async () => showPaused(await run.player.toggle()));
$("skip").addEventListener("click", () => run.skip());
$("stop").addEventListener("click", () => run.stop());
$("download").addEventListener("click", download);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    speak();
  } else if (event.key === "Escape" && run?.playing && !$("ask").open) {
    run.stop();
  }
});
new ResizeObserver(() => wave.draw(run?.player.position ?? 0)).observe($("wave"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wave.draw(run?.player.position ?? 0));
$("speak").disabled = true;
load();
