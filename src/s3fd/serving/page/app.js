// The page: pictures come in, are looked at by the service, and are shown with their faces.

import { about, kind, known, likeness, order, percent, shown, side } from "./faces.js";
import { People } from "./gallery.js";
import { detect, hasKey, model, useKey } from "./service.js";
import { View, annotated } from "./view.js";

const $ = (id) => document.getElementById(id);
const view = new View($("viewport"), $("canvas"), $("overlay"), choose);
const pictures = []; // { name, blob, url, image, record, error, asked, button }
const gallery = new People(identify, (text) => announce(text));
let current = -1;
let chosen = -1;
let attributes = {}; // that are told of a face, each with its classes
let complaint = ""; // about what was just tried; stays until the next picture
let camera = null;
let opening = false; // the camera
let started;

// --- pictures -----------------------------------------------------------------------------------------------

async function add(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/"));
  if (!images.length) return complain("That is not a picture. Choose an image file.");
  const others = [...files].filter((file) => !images.includes(file)).map((file) => file.name);
  stopCamera();
  const first = pictures.length;
  for (const blob of images) pictures.push({ name: blob.name || "pasted.png", blob, url: URL.createObjectURL(blob) });
  select(first);
  if (others.length) complain(`Left out, because they are no pictures: ${others.join(", ")}`);
  for (let i = first; i < pictures.length; i++) await look(pictures[i]);
}

/** Ask for the faces of a picture. */
async function look(picture) {
  picture.record = picture.error = null;
  refresh();
  await started; // a picture may be dropped before it is known what can be told of its faces
  picture.image ??= await decode(picture.url);
  if (!(await renew(picture))) return;
  if (picture === pictures[current]) {
    if (picture.record) view.open(picture.record.width, picture.record.height);
    refresh();
    announce($("count").textContent);
  } else {
    strip();
  }
}

/** The faces of a picture, and who they are if that can be told. */
const ask = (blob) => detect(blob, $("size").value, Object.keys(attributes), gallery.open);

/** Ask for the record of a picture, and keep the answer unless it was asked for again meanwhile; tell if it is kept. */
async function renew(picture) {
  const mine = (picture.asked = Symbol("asked"));
  const answer = await ask(picture.blob).then((record) => ({ record, error: null }), (error) => ({ record: null, error }));
  if (picture.asked !== mine) return false;
  Object.assign(picture, answer);
  return true;
}

/** Ask again who everybody is, now that the gallery has changed; leave a face that was `enrolled`. */
async function identify(enrolled) {
  const face = chosen;
  if (enrolled && face >= 0) {
    choose(face);
    $("faces").querySelector(`[data-face="${face}"]`).focus();
  }
  for (const picture of pictures) {
    if (picture.record && (await renew(picture)) && picture === subject()) refresh();
  }
}

/** An image element, or null for a format that the browser does not know (TIFF). */
async function decode(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image, () => null);
}

async function select(i) {
  current = i;
  chosen = -1;
  complaint = "";
  gallery.offer(null);
  const picture = pictures[i];
  $("picture").src = picture.url;
  $("picture").alt = picture.name;
  $("welcome").hidden = true;
  for (const id of ["viewport", "zoom"]) $(id).hidden = false;
  refresh();
  picture.image ??= await decode(picture.url);
  if (picture !== pictures[current]) return;
  if (picture.record) refresh(); // the faces of a frame of the camera can be cut out only now
  const size = picture.record ?? { width: picture.image?.naturalWidth, height: picture.image?.naturalHeight };
  if (size.width) view.open(size.width, size.height);
}

// --- what is shown ------------------------------------------------------------------------------------------

/** The picture at hand: the chosen one, or the camera's. */
const subject = () => camera ?? pictures[current];

const kept = (record) => shown(record, ...["score", "probability", "likeness"].map((id) => Number($(id).value)));

function refresh() {
  const picture = subject();
  const faces = picture?.record ? kept(picture.record) : [];
  if (chosen >= faces.length) {
    chosen = -1;
    gallery.offer(null);
  }
  document.body.classList.toggle("busy", Boolean(picture && !picture.record && !picture.error));
  summarise(picture, faces);
  view.show(faces, chosen);
  list(picture, faces);
  strip();
  for (const id of ["save-json", "save-picture"]) $(id).disabled = !picture?.record;
}

const many = (faces) => (faces.length === 1 ? "1 face" : `${faces.length || "No"} faces`);

function summarise(picture, faces) {
  if (!picture) return;
  const wrong = picture.error?.message ?? complaint;
  $("problem").hidden = !wrong;
  if ($("problem").textContent !== wrong) $("problem").textContent = wrong;
  $("login").hidden = picture.error?.status !== 401;
  if (picture.error) {
    $("count").textContent = "Not processed";
    $("detail").textContent = picture.name;
  } else if (!picture.record) {
    $("count").textContent = "Looking for faces";
    $("detail").textContent = picture.name;
  } else {
    $("count").textContent = many(faces);
    const parts = Object.entries(attributes).map(([name, classes]) => {
      const numbers = [...classes, null].map((value) => [faces.filter((face) => face[name] === value).length, value ?? "open"]);
      return numbers.filter(([number]) => number).map((words) => words.join(" ")).join(" · ");
    }).filter(Boolean);
    const names = [...new Set(faces.filter(known).map((face) => face.identity.name))];
    const pixels = `${picture.record.width} × ${picture.record.height}`;
    const words = [...(names.length ? [names.join(", ")] : []), ...parts];
    $("detail").textContent = words.length ? words.join(" · ") : `${picture.name} · ${pixels}`;
  }
}

function list(picture, faces) {
  const active = document.activeElement;
  const focused = active?.dataset?.face;
  $("faces").replaceChildren(...order(faces, $("order").value).map((i) => row(picture, faces[i], i)));
  gallery.place($("faces").querySelector('[aria-pressed="true"]'));
  if (focused !== undefined) $("faces").querySelector(`[data-face="${focused}"]`)?.focus();
  else if (gallery.form.contains(active)) active.focus();
}

function row(picture, face, i) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.face = i;
  button.setAttribute("aria-pressed", String(i === chosen));
  const words = document.createElement("span");
  const name = document.createElement("span");
  const dot = document.createElement("span");
  dot.className = `dot ${kind(face)}`;
  const more = about(face).replace(/^\?/, "open");
  name.append(dot, known(face) ? face.identity.name : more || "face");
  const small = document.createElement("small");
  const alike = likeness(face) && `similarity ${likeness(face)}`;
  const facts = known(face) ? [alike, more] : [face.identity && "unknown", alike];
  small.textContent = [...facts, `${Math.round(side(face))} pixels`].filter(Boolean).join(" · ");
  words.append(name, small);
  const score = document.createElement("b");
  score.textContent = percent(face.score);
  score.title = "Score";
  button.append(cut(picture.image ?? picture.video, face.box), words, score);
  button.addEventListener("click", () => choose(i));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

/** A small picture of a face, with some of what is around it. */
function cut(image, [x1, y1, x2, y2]) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 92;
  const length = Math.max(x2 - x1, y2 - y1) * 1.3;
  const corner = [(x1 + x2 - length) / 2, (y1 + y2 - length) / 2];
  if (image) canvas.getContext("2d").drawImage(image, ...corner, length, length, 0, 0, 92, 92);
  return canvas;
}

function choose(i) {
  if (camera && gallery.open) freeze();
  chosen = chosen === i ? -1 : i;
  const picture = subject();
  gallery.offer(chosen < 0 ? null : { picture, face: kept(picture.record)[i] });
  refresh();
  if (chosen < 0) return;
  if (view.zoom > 1) view.reveal(i);
  for (const part of [gallery.form, $("faces").querySelector('[aria-pressed="true"]')]) part?.scrollIntoView({ block: "nearest" });
}

function strip() {
  const several = pictures.length > 1 && !camera;
  $("strip").hidden = !several;
  document.querySelector(".stage").classList.toggle("many", several);
  if (!several) return;
  pictures.forEach((picture, i) => {
    picture.button ??= thumbnail(picture, i); // made once: it may have the focus
    const faces = picture.record && kept(picture.record);
    picture.button.lastChild.textContent = faces ? faces.length : picture.error ? "!" : "…";
    const words = faces ? many(faces) : picture.error ? "! Not processed" : "… Looking for faces";
    picture.button.setAttribute("aria-label", `${picture.name}: ${words}`);
    picture.button.setAttribute("aria-current", String(i === current));
  });
}

/** A small copy of a picture, which opens it. */
function thumbnail(picture, i) {
  const button = document.createElement("button");
  const image = new Image();
  image.src = picture.url;
  image.alt = picture.name;
  button.append(image, document.createElement("span"));
  button.type = "button";
  button.addEventListener("click", () => {
    select(i);
    if (picture.record) announce($("count").textContent);
  });
  $("strip").append(button);
  return button;
}

const announce = (text) => ($("status").textContent = text);

function complain(text) {
  complaint = text;
  $("problem").hidden = false;
  $("problem").textContent = text;
}

// --- the camera ---------------------------------------------------------------------------------------------

async function startCamera() {
  if (opening) return; // a second stream would stay on when the camera is stopped
  opening = true;
  const video = $("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    await video.play();
  } catch (error) {
    return complain(`The camera cannot be used: ${error.message}`);
  } finally {
    opening = false;
  }
  camera = { name: "camera.jpg", video, record: null };
  chosen = -1;
  complaint = "";
  gallery.offer(null);
  $("picture").hidden = true;
  $("welcome").hidden = true;
  for (const id of ["video", "viewport", "zoom"]) $(id).hidden = false;
  $("camera").setAttribute("aria-pressed", "true");
  view.open(video.videoWidth, video.videoHeight);
  const mine = camera;
  const frame = document.createElement("canvas");
  while (camera === mine) { // the next frame goes when the last one is answered
    Object.assign(frame, { width: video.videoWidth, height: video.videoHeight });
    frame.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => frame.toBlob(done, "image/jpeg", 0.9));
    try {
      const record = await ask(blob);
      if (camera !== mine) return;
      Object.assign(camera, { record, blob, error: null });
    } catch (error) {
      if (camera !== mine) return;
      camera.error = error;
      await new Promise((wake) => setTimeout(wake, 1000));
    }
    refresh();
    await new Promise(requestAnimationFrame);
  }
}

/** Keep the frame whose faces are shown, so that one of them can be enrolled. */
function freeze() {
  const { blob, record } = camera;
  current = pictures.push({ name: "camera.jpg", blob, url: URL.createObjectURL(blob), record }) - 1;
  stopCamera();
}

function stopCamera() {
  if (!camera) return;
  for (const track of $("video").srcObject.getTracks()) track.stop();
  camera = null;
  $("video").hidden = true;
  $("picture").hidden = false;
  $("camera").setAttribute("aria-pressed", "false");
  if (current >= 0) select(current);
  else {
    for (const id of ["viewport", "zoom"]) $(id).hidden = true;
    $("welcome").hidden = false;
    view.show([], -1);
    $("faces").replaceChildren();
    $("count").textContent = "No picture yet";
    $("detail").textContent = "Open one to list its faces here.";
  }
}

// --- downloads ----------------------------------------------------------------------------------------------

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const stem = () => subject().name.replace(/\.[^.]*$/, "");

$("save-json").addEventListener("click", () => {
  const { name, record } = subject();
  const text = JSON.stringify({ ...record, path: name, faces: kept(record) });
  save(new Blob([text + "\n"], { type: "application/json" }), `${stem()}.json`);
});

$("save-picture").addEventListener("click", () => {
  const { image, video, record } = subject();
  if (!image && !video) return complain("This browser cannot show the picture.");
  annotated(image ?? video, record, kept(record)).toBlob((blob) => save(blob, `${stem()}_faces.png`), "image/png");
});

// --- controls -----------------------------------------------------------------------------------------------

for (const [id, digits] of [["score", 2], ["probability", 2], ["likeness", 3]]) {
  $(id).addEventListener("input", () => {
    $(`${id}-out`).textContent = Number($(id).value).toFixed(digits);
    refresh();
  });
  $(id).addEventListener("change", () => announce($("count").textContent));
}
$("order").addEventListener("change", refresh);
$("size").addEventListener("change", async () => {
  for (const picture of pictures) await look(picture);
});
for (const id of ["choose", "welcome"]) $(id).addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  add($("file").files);
  $("file").value = "";
});
$("camera").addEventListener("click", () => (camera ? stopCamera() : startCamera()));
$("in").addEventListener("click", () => view.zoomBy(1.4));
$("out").addEventListener("click", () => view.zoomBy(1 / 1.4));
$("fit").addEventListener("click", () => view.zoomBy(0));
$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey($("key").value);
  $("problem").hidden = true; // so that the same words are read out again
  started = start();
  await started;
  if (!$("login").hidden) $("key").select();
  for (const picture of pictures) if (picture.error) await look(picture);
});

addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) add(files);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) add(event.dataTransfer.files);
});

const THEMES = { auto: ["◐", "same as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

function theme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  $("theme").textContent = THEMES[name][0];
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[name][1]}`);
}
theme(localStorage.getItem("theme") in THEMES ? localStorage.getItem("theme") : "auto");
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme(names[(names.indexOf(localStorage.getItem("theme")) + 1) % names.length]);
});

/** Show what belongs to the attributes that the service predicts. */
function offerAttributes() {
  const names = Object.keys(attributes);
  $("told").hidden = !names.length;
  $("told-what").textContent = names.length === 1 ? names[0].replaceAll("_", " ") : "attribute";
  const least = Math.floor(100 / Math.max(2, ...Object.values(attributes).map((classes) => classes.length))) / 100;
  $("probability").min = least; // the best class has no lower probability
  $("probability").value = least;
  $("probability-out").textContent = least.toFixed(2);
  $("gender-note").hidden = !("gender" in attributes);
}

/** Learn what can be told of a face. */
async function start() {
  try {
    const card = await model();
    attributes = card.attributes;
    if (card.gallery) await gallery.load();
    offerAttributes();
    $("login").hidden = true;
    $("problem").hidden = true;
    complaint = "";
  } catch (error) {
    if (error.status === 401) $("login").hidden = false;
    if (error.status !== 401 || hasKey()) complain(error.message);
  }
}
started = start();
