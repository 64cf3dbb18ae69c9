// Faces as the service reports them, and what the sliders leave of them.

const UNKNOWN = "unknown";
const LONGEST = 24; // characters of a name beside a face

/** The faces of a record that score over `score`; what is told of each is left open under `probability`, and who it
 * is under `likeness`. */
export function shown(record, score, probability, likeness) {
  return record.faces
    .filter((face) => face.score > score)
    .map((face) => {
      const kept = { ...face };
      for (const name of attributes(face)) {
        if (face[`${name}_probability`] < probability) kept[name] = null;
      }
      if (face.identity) {
        kept.identity = { ...face.identity, threshold: likeness };
        if (!known(kept)) kept.identity.name = UNKNOWN;
      }
      return kept;
    });
}

/** Names of what is told of a face. */
export function attributes(face) {
  return Object.keys(face).filter((name) => `${name}_probability` in face);
}

/** Whether a face is somebody of the gallery. */
export const known = ({ identity }) =>
  Boolean(identity && identity.score !== null && identity.score >= identity.threshold);

/** How alike a face and the person most like it are, a cosine; nothing in an empty gallery. */
export const likeness = ({ identity }) => (identity && identity.score !== null ? identity.score.toFixed(2) : null);

/** What stands beside a face: who it is, or what is told of it, or its score. */
export function caption(face) {
  if (!known(face)) return about(face) || percent(face.score);
  const { name } = face.identity;
  return `${name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name} ${likeness(face)}`;
}

/** What is told of a face. */
export function about(face) {
  const told = attributes(face);
  return told.map((n) => (face[n] === null ? "?" : `${face[n]} ${percent(face[`${n}_probability`])}`)).join(", ");
}

export const percent = (value) => `${Math.round(value * 100)}%`;

/** The class that colours a face. */
export const kind = (face) => (["female", "male"].includes(face.gender) ? face.gender : "open");

const ORDERS = {
  score: (a, b) => b.score - a.score,
  size: (a, b) => side(b) - side(a),
  place: (a, b) => a.box[0] - b.box[0],
};

/** Indices of faces in the order of the list. */
export function order(faces, by) {
  return faces.map((_, i) => i).sort((i, j) => ORDERS[by](faces[i], faces[j]) || i - j);
}

/** Shorter side of a face in pixels. */
export const side = ({ box }) => Math.min(box[2] - box[0], box[3] - box[1]);

/** Where captions go, so that none hides another or another's face: for each face a place, or null. */
export function place(faces, scale, measure, height, limit, chosen = -1) {
  const boxes = faces.map((face) => face.box.map((v) => v * scale));
  const taken = [];
  const clear = (plate, i) =>
    !taken.some((other) => meets(plate, other)) && !boxes.some((box, j) => j !== i && meets(plate, box));
  const places = faces.map(() => null);
  const first = chosen >= 0 && chosen < faces.length ? [chosen] : [];
  for (const i of [...first, ...faces.keys()]) {
    if (places[i]) continue;
    if (i !== chosen && caption(faces[i]) === "?" && boxes[i][2] - boxes[i][0] < 3 * height) continue; // its colour says so
    const width = measure(caption(faces[i])) + height * 0.7;
    const [left, top, , bottom] = boxes[i];
    const x = Math.max(0, Math.min(left - 1, limit.width - width));
    for (const y of [top - height - 1, bottom + 1, top + 2]) {
      const plate = [x, y, x + width, y + height];
      const inside = y >= 0 && y + height <= limit.height;
      if (inside && (i === chosen || (width < 3.2 * (boxes[i][2] - left) && clear(plate, i)))) {
        places[i] = { x, y, width };
        taken.push(plate);
        break;
      }
    }
  }
  return places;
}

const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
