// Requests to the service. Faces come with every score and probability, so that sliders need no new request.

const LEAST_SCORE = 0.1;
const LEAST_LIKENESS = -1; // a cosine
const WRONG_KEY = "This is not the service's API key.";
const SENDABLE = /^[!-~]+$/; // in a header; a key may come with a dash or a quotation mark that a program has made typographic
let key = sessionStorage.getItem("key");

export class Refused extends Error {
  constructor(status, detail, seconds) {
    super(detail);
    Object.assign(this, { status, seconds });
  }
}

export function useKey(value) {
  key = value.trim();
  sessionStorage.setItem("key", key); // until the window is closed
}

export const hasKey = () => Boolean(key);

export const model = () => ask("/v1/model");

/** The record of a picture, a Blob; if `named`, with the person most like each face and how much. */
export async function detect(blob, size, attributes, named) {
  const options = new URLSearchParams({ size, min_score: LEAST_SCORE });
  if (attributes.length) options.set("attributes", attributes.join(","));
  if (named) options.set("threshold", LEAST_LIKENESS);
  for (let tries = 0; ; tries++) {
    try {
      const path = named ? "/v1/gallery/identify" : "/v1/detect";
      return (await ask(`${path}?${options}`, sent(blob))).pictures[0];
    } catch (error) {
      if (!(error.seconds && tries < 5)) throw error;
      await new Promise((wake) => setTimeout(wake, error.seconds * 1000));
    }
  }
}

export const gallery = () => ask("/v1/gallery");

/** All people of the gallery, each with a name and a number of vectors. */
export async function people() {
  const everybody = [];
  for (let after = ""; after !== null; ) {
    const part = await ask(`/v1/gallery/people?${new URLSearchParams({ after })}`);
    everybody.push(...part.people);
    after = part.next;
  }
  return everybody;
}

/** Enrol the face in a box of a picture. */
export const enrol = (name, blob, box, size) =>
  ask(`/v1/gallery/people?${new URLSearchParams({ name, box, size })}`, sent(blob));

export const remove = (name) => ask(`/v1/gallery/people?${new URLSearchParams({ name })}`, { method: "DELETE" });

/** A request with a picture. */
function sent(blob) {
  const type = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  return { method: "POST", body: blob, headers: { "Content-Type": type } };
}

async function ask(path, options = {}) {
  if (key && !SENDABLE.test(key)) throw new Refused(401, WRONG_KEY);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused(0, "The server does not respond.");
  }
  if (answer.ok) return answer.json();
  if (answer.status === 401) throw new Refused(401, key ? WRONG_KEY : "The service requires an API key.");
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  throw new Refused(answer.status, problem.detail, Number(answer.headers.get("Retry-After")));
}
