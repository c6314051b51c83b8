// The circumplex: a disc with a dot to move, or to draw a path on.

const SVG = "http://www.w3.org/2000/svg";
const RIM = 1.065; // radius of the words around the disc
const STEP = 0.05; // of the arrow keys; 0.01 with shift
// Where the labels of the marked expressions go: anchor, dx, dy in units of the disc.
const LABELS = {
  anger: ["middle", 0, 0.1], fear: ["middle", 0, 0.1], surprise: ["middle", 0, 0.1],
  disgust: ["start", -0.04, 0.1], contempt: ["start", 0.05, 0.025],
  happiness: ["end", -0.05, 0.025], sadness: ["start", 0.05, 0.025],
};
// First come the words that should find room.
const WORDS = ["excited", "relaxed", "tranquil", "drowsy", "bored", "distressed", "alarmed",
  "delighted", "glad", "fatigued", "depressed", "astonished", "enraged", "calm", "sleepy",
  "tired", "annoyed", "frustrated", "joyful", "pleased", "miserable"];

function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

// Two decimals, towards neutral, so that the rounded point is inside the disc as well.
const tidy = (x) => Math.trunc(x * 100 + Math.sign(x) * 1e-6) / 100 + 0;

export function inside(v, a) {
  const radius = Math.hypot(v, a);
  return radius > 1 ? [v / radius, a / radius] : [v, a];
}

export class Pad extends EventTarget {
  // Events: "move" (detail [v, a], by the user), "stroke" (detail [[t, v, a], ...]).
  constructor(parent, states, expressions) {
    super();
    this.mode = "point";
    this.value = [0, 0];
    this.states = states;
    this.root = make("svg", {
      viewBox: "-1.2 -1.2 2.4 2.4", tabindex: 0, role: "slider", "aria-label":
        "Circumplex: arrow keys move the dot, shift for small steps, Home for neutral",
      "aria-valuemin": -1, "aria-valuemax": 1, "aria-valuenow": 0, "aria-orientation": "horizontal",
    });
    this.#ground();
    this.#rim(states);
    for (const [name, [v, a]] of Object.entries(expressions)) this.#mark(name, v, a);
    this.track = make("polyline", { class: "track", points: "" }, this.root);
    this.stroke = make("polyline", { class: "stroke", points: "" }, this.root);
    this.head = make("circle", { class: "head", r: 0.036, visibility: "hidden" }, this.root);
    this.dot = make("g", { class: "dot" }, this.root);
    make("circle", { class: "halo", r: 0.13 }, this.dot);
    make("circle", { class: "core", r: 0.055 }, this.dot);
    parent.append(this.root);
    this.#listen();
    this.set(0, 0);
  }

  #ground() {
    for (const r of [0.25, 0.5, 0.75]) make("circle", { class: "ring", r }, this.root);
    make("path", { class: "axis", d: "M-1 0H1M0-1V1" }, this.root);
    make("circle", { class: "edge", r: 1 }, this.root);
    const axis = (text, x, y, anchor) => {
      make("text", { class: "pole", x, y, "text-anchor": anchor }, this.root).textContent = text;
    };
    axis("pleasant", 0.97, 0.07, "end");
    axis("unpleasant", -0.97, 0.07, "start");
    axis("aroused", 0.03, -0.92, "start");
    axis("calm", 0.03, 0.95, "start");
  }

  // Words along the rim, each at its own angle, as many as find room.
  #rim(states) {
    const defs = make("defs", {}, this.root);
    // The upper arc runs clockwise, the lower one counter-clockwise: letters stand upright.
    make("path", { id: "rim-up", d: `M${-RIM} 0A${RIM} ${RIM} 0 0 1 ${RIM} 0` }, defs);
    const low = RIM + 0.06;
    make("path", { id: "rim-low", d: `M${-low} 0A${low} ${low} 0 0 0 ${low} 0` }, defs);
    const taken = [];
    for (const word of WORDS) {
      if (!states[word]) continue;
      const [v, a] = states[word];
      const angle = Math.atan2(a, v);
      const half = word.length * 0.0185 + 0.03;
      const across = Math.abs(angle) < half * 0.9 || Math.PI - Math.abs(angle) < half * 0.9;
      const clash = taken.some(([other, width]) => {
        const gap = Math.abs(Math.atan2(Math.sin(angle - other), Math.cos(angle - other)));
        return gap < half + width;
      });
      if (across || clash) continue;
      taken.push([angle, half]);
      const share = angle >= 0 ? (Math.PI - angle) / Math.PI : (Math.PI + angle) / Math.PI;
      const text = make("text", { class: "state" }, this.root);
      const along = make("textPath", {
        href: angle >= 0 ? "#rim-up" : "#rim-low", startOffset: `${(share * 100).toFixed(2)}%`,
        "text-anchor": "middle",
      }, text);
      along.textContent = word;
    }
  }

  #mark(name, v, a) {
    if (name === "neutral") return;
    make("circle", { class: "mark", cx: v, cy: -a, r: 0.022 }, this.root);
    const [anchor, dx, dy] = LABELS[name] || ["start", 0.05, 0.03];
    make("text", { class: "name", x: v + dx, y: -a + dy, "text-anchor": anchor }, this.root)
      .textContent = name;
  }

  #listen() {
    const at = (event) => {
      const box = this.root.getBoundingClientRect();
      const scale = 2.4 / Math.min(box.width, box.height);
      return inside((event.clientX - box.left - box.width / 2) * scale,
        (box.top + box.height / 2 - event.clientY) * scale);
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.root.setPointerCapture(event.pointerId);
      this.root.focus({ preventScroll: true });
      event.preventDefault();
      this.held = event.pointerId;
      if (this.mode === "point") return this.#move(...at(event));
      this.began = event.timeStamp;
      this.points = [[0, ...at(event)]];
      this.#drawStroke();
    });
    this.root.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.held) return;
      if (this.mode === "point") return this.#move(...at(event));
      const all = event.getCoalescedEvents?.() ?? [];
      for (const one of all.length ? all : [event]) {
        const time = (one.timeStamp - this.began) / 1000;
        if (time >= this.points.at(-1)[0]) this.points.push([time, ...at(one)]);
      }
      this.#drawStroke();
    });
    const end = (event) => {
      if (event.pointerId !== this.held) return;
      this.held = null;
      if (this.mode === "point" || !this.points) return;
      const points = this.points;
      this.points = null;
      this.stroke.setAttribute("points", "");
      if (event.type === "pointerup") {
        this.dispatchEvent(new CustomEvent("stroke", { detail: points }));
      }
    };
    this.root.addEventListener("pointerup", end);
    this.root.addEventListener("pointercancel", end);
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const step = event.shiftKey ? 0.01 : STEP;
    const by = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step],
    }[event.key];
    if (!by && event.key !== "Home") return;
    event.preventDefault();
    if (!by) return this.#move(0, 0);
    const round = (x) => Math.round(x * 100) / 100;
    this.#move(...inside(round(this.value[0] + by[0]), round(this.value[1] + by[1])));
  }

  #drawStroke() {
    this.stroke.setAttribute("points", this.points.map(([, v, a]) => `${v},${-a}`).join(" "));
  }

  #move(v, a) {
    this.set(v, a);
    this.dispatchEvent(new CustomEvent("move", { detail: this.value }));
  }

  set(v, a) {
    this.value = [tidy(v), tidy(a)];
    this.dot.setAttribute("transform", `translate(${this.value[0]} ${-this.value[1]})`);
    const word = this.word();
    this.root.setAttribute("aria-valuenow", this.value[0]);
    this.root.setAttribute("aria-valuetext",
      `valence ${this.value[0].toFixed(2)}, arousal ${this.value[1].toFixed(2)}, ${word}`);
  }

  setMode(mode) {
    this.mode = mode;
    this.root.classList.toggle("drawing", mode === "path");
  }

  // The sampled path, and where on it the picture is; null clears.
  setTrack(va) {
    this.track.setAttribute("points", va ? va.map(([v, a]) => `${v},${-a}`).join(" ") : "");
    if (!va) this.head.setAttribute("visibility", "hidden");
  }

  setHead([v, a]) {
    this.head.setAttribute("cx", v);
    this.head.setAttribute("cy", -a);
    this.head.setAttribute("visibility", "visible");
  }

  word([v, a] = this.value) {
    let best = "", least = Infinity;
    for (const [name, [x, y]] of Object.entries(this.states)) {
      const far = Math.hypot(v - x, a - y);
      if (far < least - 1e-12) [best, least] = [name, far];
    }
    return best;
  }
}
