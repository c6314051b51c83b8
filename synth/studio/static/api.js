// Talks to the studio's server: every call carries the token of this run.

const token = document.querySelector('meta[name="studio-token"]').content;

export class StudioError extends Error {}

async function call(method, path, body, type) {
  let answer;
  try {
    const headers = { "X-Studio-Token": token };
    if (type) headers["Content-Type"] = type;
    answer = await fetch(path, { method, headers, body });
  } catch {
    throw new StudioError("The studio does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  let message = `The studio answered ${answer.status}.`;
  try {
    message = (await answer.json()).message || message;
  } catch { /* not JSON: keep the number */ }
  throw new StudioError(message);
}

export const get = async (path) => (await call("GET", path)).json();
export const remove = async (path) => (await call("DELETE", path)).json();
export const post = (path, data) => call("POST", path, JSON.stringify(data), "application/json");
export const postJson = async (path, data) => (await post(path, data)).json();
export const putPhoto = async (file) =>
  (await call("PUT", `/api/photos?name=${encodeURIComponent(file.name || "photo")}`, file,
    "application/octet-stream")).json();

// One picture: bitmap, what is told about the face, and the mesh's points when wanted.
export async function picture(wish, mesh) {
  const [answer, points] = await Promise.all([
    post("/api/frame", wish),
    mesh ? post("/api/mesh", wish).then((a) => a.arrayBuffer()) : null,
  ]);
  const blob = await answer.blob();
  const told = JSON.parse(answer.headers.get("X-Studio-Face") || "{}");
  return { blob, told, points: points && new Float32Array(points) };
}
