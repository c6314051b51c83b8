// Plays and scrubs a path: frames are fetched coarse to fine, kept as files, decoded when shown.

import { picture } from "./api.js";

const AT_ONCE = 2;

// Every 16th frame first, then the 8ths between them ...: scrubbing works from the start.
function order(count) {
  const seen = new Set([0, count - 1]);
  for (const stride of [16, 8, 4, 2, 1]) {
    for (let i = 0; i < count; i += stride) seen.add(i);
  }
  return [...seen];
}

export class Player extends EventTarget {
  // Events: "frame" (detail {index, frame}), "buffer" (share), "play", "fail" (error).
  constructor() {
    super();
    this.path = null;
    this.loop = true;
    this.mesh = false;
    this.playing = false;
  }

  // Takes a path over; the old one's requests run out unheard.
  load(path) {
    this.pause();
    this.path = path;
    this.index = 0;
    this.frames = new Array(path.frames);
    this.waiting = order(path.frames);
    this.have = 0;
    for (let i = 0; i < AT_ONCE; i++) this.#fetch(path);
  }

  clear() {
    this.pause();
    this.path = null;
    this.waiting = [];
  }

  // With the mesh wanted, frames without one are fetched again.
  setMesh(on) {
    this.mesh = on;
    if (!this.path) return;
    if (on) {
      const idle = !this.waiting.length;
      const lacking = order(this.path.frames).filter((i) => !this.frames[i]?.points);
      this.waiting = [this.index, ...lacking.filter((i) => i !== this.index)];
      if (idle) for (let i = 0; i < AT_ONCE; i++) this.#fetch(this.path);
    }
    this.show(this.index);
  }

  async #fetch(path) {
    while (this.path === path && this.waiting.length) {
      const index = this.waiting.shift();
      const old = this.frames[index];
      if (old && (old.points || !this.mesh)) continue;
      try {
        const frame = await picture({ path: path.key, frame: index }, this.mesh);
        if (this.path !== path) return;
        this.frames[index] = frame;
        this.have += !old;
        this.dispatchEvent(new CustomEvent("buffer", { detail: this.have / path.frames }));
        if (index === this.index && !this.playing) this.show(index);
      } catch (error) {
        if (this.path !== path) return;
        this.waiting = [];
        this.dispatchEvent(new CustomEvent("fail", { detail: error }));
      }
    }
  }

  // The wanted frame, or until it is there the nearest one that is.
  show(index) {
    if (!this.path) return;
    this.index = index;
    if (!this.frames[index]) {
      const at = this.waiting.indexOf(index);
      if (at > 0) this.waiting.unshift(...this.waiting.splice(at, 1));
    }
    for (let off = 0; off < this.path.frames; off++) {
      const frame = this.frames[index - off] || this.frames[index + off];
      if (frame) {
        this.dispatchEvent(new CustomEvent("frame", { detail: { index, frame } }));
        return;
      }
    }
  }

  play() {
    if (!this.path || this.playing) return;
    this.playing = true;
    if (this.index >= this.path.frames - 1) this.index = 0;
    let began = null;
    const first = this.index, path = this.path;
    const tick = (now) => {
      if (!this.playing || this.path !== path) return;
      began ??= now;
      let index = first + Math.floor(((now - began) / 1000) * path.fps + 1e-6);
      if (index >= path.frames) {
        if (!this.loop) {
          this.show(path.frames - 1);
          return this.pause();
        }
        index %= path.frames;
      }
      if (index !== this.index || now === began) this.show(index);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    this.dispatchEvent(new CustomEvent("play"));
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.dispatchEvent(new CustomEvent("play"));
  }
}
