// Requests to the service. Faces come with every score and probability, so that sliders need no new request.

const LEAST_SCORE = 0.1;
let key = sessionStorage.getItem("key");

export class Refused extends Error {
  constructor(status, detail, seconds) {
    super(detail);
    Object.assign(this, { status, seconds });
  }
}

export function useKey(value) {
  key = value;
  sessionStorage.setItem("key", value); // until the window is closed
}

export const model = () => ask("/v1/model");

/** The record of a picture, a Blob. */
export async function detect(blob, size, attributes) {
  const options = new URLSearchParams({ size, min_score: LEAST_SCORE });
  if (attributes.length) options.set("attributes", attributes.join(","));
  for (let tries = 0; ; tries++) {
    try {
      const type = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
      const headers = { "Content-Type": type };
      return (await ask(`/v1/detect?${options}`, { method: "POST", body: blob, headers })).pictures[0];
    } catch (error) {
      if (!(error.seconds && tries < 5)) throw error;
      await new Promise((wake) => setTimeout(wake, error.seconds * 1000));
    }
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  throw new Refused(answer.status, problem.detail, Number(answer.headers.get("Retry-After")));
}
