// The people of the gallery: a form that enrols the chosen face, and a list from which a person is removed.

import { known } from "./faces.js";
import { enrol, gallery, people, remove } from "./service.js";

const $ = (id) => document.getElementById(id);

export class People {
  /** `changed` is called after somebody was enrolled (true) or removed (false), `announce` with what to tell. */
  constructor(changed, announce) {
    Object.assign(this, { changed, announce });
    this.open = false; // whether the service has a gallery
    this.form = $("enrol"); // stands below the chosen face in the list, or nowhere
    this.subject = null;
    this.form.addEventListener("submit", (event) => this.#enrol(event));
    $("keep").addEventListener("click", () => $("farewell").close());
    $("remove").addEventListener("click", () => this.#remove());
  }

  /** Show who there is, and begin with the gallery's threshold. */
  async load() {
    const card = await gallery();
    this.open = true;
    for (const id of ["people", "alike"]) $(id).hidden = false;
    const threshold = card.threshold ?? card.calibration?.identify;
    $("likeness").value = threshold === undefined ? 1 : Math.ceil(threshold * 1000) / 1000; // never lower
    $("likeness").dispatchEvent(new Event("input"));
    await this.#list();
  }

  /** Offer to enrol a face, of which `subject` has `picture` and `face`; null for none. `place` shows the form. */
  offer(subject) {
    this.subject = this.open ? subject : null;
    this.form.reset();
    $("refused").hidden = true;
    if (this.subject && known(this.subject.face)) $("name").value = this.subject.face.identity.name;
  }

  /** Put the form below the chosen face in the list, or away. */
  place(row) {
    this.form.hidden = true; // in any other place it would move what is around it
    if (row && this.subject) row.after(this.form);
    else document.body.append(this.form);
    this.form.hidden = !(row && this.subject);
  }

  async #list() {
    const [card, everybody] = await Promise.all([gallery(), people()]);
    $("people-count").textContent = everybody.length;
    $("nobody").hidden = everybody.length > 0;
    $("people-list").replaceChildren(...everybody.map((person) => this.#row(person)));
    $("names").replaceChildren(...everybody.map(({ name }) => new Option(name)));
    $("alike-note").textContent = advice(card);
    $("alike-note").hidden = !advice(card);
  }

  #row({ name, vectors }) {
    const item = document.createElement("li");
    const words = document.createElement("span");
    const button = document.createElement("button");
    words.textContent = name;
    const count = document.createElement("small");
    count.textContent = vectors === 1 ? "1 picture" : `${vectors} pictures`;
    words.append(count);
    button.type = "button";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove ${name}`);
    button.addEventListener("click", () => this.#ask(name));
    item.append(words, button);
    return item;
  }

  async #enrol(event) {
    event.preventDefault();
    const { picture, face } = this.subject;
    const name = $("name").value.trim();
    const button = this.form.querySelector("button");
    button.disabled = true;
    $("refused").hidden = true;
    try {
      const { vectors } = await enrol(name, picture.blob, face.box, $("size").value);
      await this.#list();
      this.announce(`${name} is enrolled, with ${vectors === 1 ? "1 picture" : `${vectors} pictures`}.`);
      await this.changed(true);
    } catch (error) {
      $("refused").textContent = `Not enrolled: ${error.message}`;
      $("refused").hidden = false;
      $("refused").scrollIntoView({ block: "nearest" });
    } finally {
      button.disabled = false;
    }
  }

  #ask(name) {
    this.leaving = name;
    $("farewell-title").textContent = `Remove ${name}?`;
    $("not-removed").hidden = true;
    $("farewell").showModal();
  }

  async #remove() {
    try {
      await remove(this.leaving);
    } catch (error) {
      if (error.status !== 404) { // else somebody was faster
        $("not-removed").textContent = error.message;
        $("not-removed").hidden = false;
        return;
      }
    }
    $("farewell").close();
    await this.#list();
    $("people").querySelector("summary").focus(); // the button that was pressed is gone
    this.announce(`${this.leaving} is removed.`);
    await this.changed(false);
  }
}

/** What to know about the threshold. */
function advice({ threshold, calibration, vectors }) {
  if (threshold !== null) return "";
  if (calibration === null) return "This gallery has no threshold yet: run s3fd gallery calibrate, or lower this value to try one. Only enrolled pictures are named so far.";
  if (vectors > calibration.vectors) return "The gallery has grown since it was calibrated, so strangers are named more often. Calibrate it again.";
  return "";
}
