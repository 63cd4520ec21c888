"use strict";

// Makes each list of the page searchable, sortable and paged. All rows are in the page as JSON; of those that match
// the words, one page is in the document. Values become text nodes and nothing else.

const LONG_WORD = /\S{21}/; // as in lab/report.py: broken anywhere, so that it does not widen the table

function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

class Listing {
  constructor(element) {
    this.element = element;
    this.rows = JSON.parse(element.querySelector("script").textContent);
    this.names = Array.from(element.querySelectorAll("thead th"), (cell) => cell.textContent);
    this.numeric = Array.from(element.querySelectorAll("thead th"), (cell) => cell.classList.contains("number"));
    this.perPage = Number(element.dataset.page);
    this.matching = this.rows.map((_, place) => place);
    this.page = 0;
    this.sorted = { column: -1, down: false };
    this.addSorting();
    this.addSearch();
    if (this.rows.length > this.perPage) this.addPager();
    this.draw();
  }

  // What is searched: made once, when it is first needed.
  get texts() {
    this.searched ??= this.rows.map((row) => folded(row.join("\n")));
    return this.searched;
  }

  addSorting() {
    this.headings = Array.from(this.element.querySelectorAll("thead th"));
    this.headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = this.names[column];
      button.addEventListener("click", () => this.sort(column));
      heading.replaceChildren(button);
    });
  }

  addSearch() {
    const input = this.element.querySelector("input");
    input.setAttribute("aria-label", `Search ${this.rows.length.toLocaleString("en")} ${this.element.dataset.noun}s`);
    input.addEventListener("input", () => this.search(input.value));
    this.element.querySelector(".tools").hidden = false;
  }

  addPager() {
    this.pager = this.element.querySelector(".pager");
    this.pager.hidden = false;
    for (const button of this.pager.children) {
      button.addEventListener("click", () => this.turn(Number(button.dataset.step)));
    }
  }

  search(text) {
    const words = folded(text).split(/\s+/).filter(Boolean);
    const texts = words.length ? this.texts : [];
    this.matching = [];
    for (let place = 0; place < this.rows.length; place++) {
      if (words.every((word) => texts[place].includes(word))) this.matching.push(place);
    }
    this.order();
    this.page = 0;
    this.draw();
  }

  sort(column) {
    this.sorted = { column, down: this.sorted.column === column && !this.sorted.down };
    this.headings.forEach((heading, place) => {
      if (place === column) heading.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
    this.order();
    this.page = 0;
    this.draw();
  }

  // Rows with nothing in the column come last in either direction.
  order() {
    const { column, down } = this.sorted;
    if (column < 0) return;
    const sign = down ? -1 : 1;
    const keys = new Array(this.rows.length);
    for (const place of this.matching) {
      const value = this.rows[place][column];
      keys[place] = this.numeric[column] ? value : folded(String(value));
    }
    this.matching.sort((a, b) => {
      if (keys[a] === keys[b]) return a - b;
      if (keys[a] === "" || keys[b] === "") return keys[a] === "" ? 1 : -1;
      return keys[a] < keys[b] ? -sign : sign;
    });
  }

  turn(step) {
    const last = Math.max(0, Math.ceil(this.matching.length / this.perPage) - 1);
    this.page = Math.min(last, Math.max(0, this.page + step));
    this.draw();
  }

  draw() {
    const first = this.page * this.perPage;
    const places = this.matching.slice(first, first + this.perPage);
    this.element.querySelector("tbody").replaceChildren(...places.map((place) => this.rowOf(this.rows[place])));
    this.element.querySelector(".status").textContent = this.status(first, places.length);
    if (!this.pager) return;
    const [previous, next] = this.pager.children;
    previous.setAttribute("aria-disabled", first === 0);
    next.setAttribute("aria-disabled", first + places.length >= this.matching.length);
  }

  rowOf(row) {
    const line = document.createElement("tr");
    row.forEach((value, column) => {
      const cell = document.createElement(column ? "td" : "th");
      if (!column) cell.scope = "row";
      if (this.numeric[column]) cell.className = "number";
      else if (LONG_WORD.test(value)) cell.className = "long";
      cell.dataset.name = this.names[column];
      cell.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
      line.append(cell);
    });
    return line;
  }

  status(first, count) {
    const [all, found] = [this.rows.length, this.matching.length].map((number) => number.toLocaleString("en"));
    const noun = `${this.element.dataset.noun}s`;
    if (!count) return `None of ${all} ${noun} matches.`;
    const which = found === all ? `${all} ${noun}` : `${found} that match, of ${all} ${noun}`;
    if (count === this.matching.length) return `${which}.`;
    const from = (first + 1).toLocaleString("en");
    return first ? `${from} to ${(first + count).toLocaleString("en")} of ${which}.` : `First ${count} of ${which} shown.`;
  }
}

for (const element of document.querySelectorAll(".listing")) {
  if (element.querySelector("script")) new Listing(element);
}
