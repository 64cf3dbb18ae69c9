// The picture with its boxes, at any zoom.

import { caption, kind, place } from "./faces.js";

const SVG = "http://www.w3.org/2000/svg";
const PLATE = 18; // pixels: lines and letters keep their size at every zoom
const SMALL = 28; // pixels: a box that would hide its face with lines of the usual width
const MOST = 16;

const ruler = document.createElement("canvas").getContext("2d");
const measure = (font) => (text) => {
  ruler.font = font;
  return ruler.measureText(text).width;
};

export class View {
  constructor(viewport, canvas, overlay, onChoose) {
    Object.assign(this, { viewport, canvas, overlay, onChoose });
    this.size = { width: 0, height: 0 };
    this.zoom = 1; // of the size that fits
    this.faces = [];
    this.chosen = -1;
    new ResizeObserver(() => this.layout()).observe(viewport);
    viewport.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    viewport.addEventListener("pointerdown", (event) => this.#drag(event));
    viewport.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show a picture of so many pixels, all of it. */
  open(width, height) {
    if (width !== this.size.width || height !== this.size.height) this.zoom = 1;
    this.size = { width, height };
    this.layout();
  }

  show(faces, chosen) {
    this.faces = faces;
    this.chosen = chosen;
    this.#draw();
  }

  /** Pixels of the screen to each of the picture. */
  get scale() {
    const { clientWidth, clientHeight } = this.viewport;
    const { width, height } = this.size;
    return width ? Math.min(clientWidth / width, clientHeight / height, 4) * this.zoom : 1;
  }

  layout() {
    const scale = this.scale;
    this.canvas.style.width = `${Math.floor(this.size.width * scale)}px`;
    this.canvas.style.height = `${Math.floor(this.size.height * scale)}px`;
    this.#draw();
  }

  /** Zoom by a factor, so that the point (x, y) of the window stays where it is. */
  zoomBy(factor, x, y) {
    const frame = this.viewport.getBoundingClientRect();
    const at = [(x ?? frame.left + frame.width / 2), (y ?? frame.top + frame.height / 2)];
    const before = this.canvas.getBoundingClientRect();
    const share = [(at[0] - before.left) / before.width, (at[1] - before.top) / before.height];
    this.zoom = factor === 0 ? 1 : Math.min(MOST, Math.max(1, this.zoom * factor));
    this.layout();
    const after = this.canvas.getBoundingClientRect();
    this.viewport.scrollLeft += after.left + share[0] * after.width - at[0];
    this.viewport.scrollTop += after.top + share[1] * after.height - at[1];
  }

  /** Scroll to a face. */
  reveal(i) {
    const [x1, y1, x2, y2] = this.faces[i].box.map((v) => v * this.scale);
    this.viewport.scrollTo({
      left: (x1 + x2 - this.viewport.clientWidth) / 2,
      top: (y1 + y2 - this.viewport.clientHeight) / 2,
    });
  }

  #draw() {
    const scale = this.scale;
    const limit = { width: this.size.width * scale, height: this.size.height * scale };
    const places = place(this.faces, scale, measure("600 12px system-ui, sans-serif"), PLATE, limit, this.chosen);
    const groups = this.faces.map((face, i) => this.#group(face, i, scale, places[i]));
    if (this.chosen >= 0 && groups[this.chosen]) groups.push(groups.splice(this.chosen, 1)[0]); // on top
    this.overlay.replaceChildren(...groups);
  }

  #group(face, i, scale, spot) {
    const [x, y, right, bottom] = face.box.map((v) => v * scale);
    const box = { x, y, width: right - x, height: bottom - y, rx: 3 };
    const small = box.width < SMALL ? " small" : "";
    const group = node("g", { class: `face ${kind(face)}${small}${i === this.chosen ? " chosen" : ""}` });
    group.append(node("rect", { ...box, class: "halo" }), node("rect", { ...box, class: "line" }));
    if (spot) {
      group.append(node("rect", { x: spot.x, y: spot.y, width: spot.width, height: PLATE, rx: 4, class: "plate" }));
      const text = node("text", { x: spot.x + PLATE * 0.35, y: spot.y + 13 });
      text.textContent = caption(face);
      group.append(text);
    }
    group.addEventListener("click", () => this.onChoose(i));
    return group;
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // else the wheel scrolls, as everywhere
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
  }

  #drag(event) {
    if (event.pointerType !== "mouse" || event.button) return; // fingers scroll by themselves
    const { viewport } = this;
    const from = [event.clientX + viewport.scrollLeft, event.clientY + viewport.scrollTop];
    const move = (to) => {
      viewport.classList.add("dragging");
      viewport.scrollTo(from[0] - to.clientX, from[1] - to.clientY);
    };
    const end = () => {
      viewport.classList.remove("dragging");
      removeEventListener("pointermove", move);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
  }

  #key(event) {
    const factor = { "+": 1.4, "=": 1.4, "-": 1 / 1.4, 0: 0 }[event.key];
    if (factor === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.zoomBy(factor);
  }
}

function node(name, values) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  return made;
}

/** A copy of a picture, in its own pixels, with boxes and captions drawn into it. */
export function annotated(image, { width, height }, faces) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  const style = getComputedStyle(document.documentElement);
  const line = Math.max(1.5, Math.sqrt(width * height) / 400);
  const plate = Math.max(13, line * 7);
  const font = `600 ${plate * 0.68}px system-ui, sans-serif`;
  const places = place(faces, 1, measure(font), plate, { width, height });
  faces.forEach((face, i) => {
    const [x, y, right, bottom] = face.box;
    const colour = style.getPropertyValue(`--${kind(face)}`);
    for (const [stroke, thick] of [["#0009", line * 2], [colour, line]]) {
      context.strokeStyle = stroke;
      context.lineWidth = thick;
      context.strokeRect(x, y, right - x, bottom - y);
    }
    if (!places[i]) return;
    context.fillStyle = colour;
    context.fillRect(places[i].x, places[i].y, places[i].width, plate);
    context.fillStyle = "#0b0d0c";
    context.font = font;
    context.fillText(caption(face), places[i].x + plate * 0.35, places[i].y + plate * 0.73);
  });
  return canvas;
}
