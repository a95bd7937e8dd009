// Sorting and filtering of the leaderboard. Without this script the table is complete, in its own order.
"use strict";

(() => {
  const board = document.getElementById("board");
  if (!board) return;
  const body = board.tBodies[0];
  const rows = [...body.rows];
  const headings = [...board.tHead.rows[0].cells];

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.number === undefined ? cell.textContent.trim() : Number(cell.dataset.number);
  };

  // Numbers before words, empty cells last whichever way; equal cells keep their order.
  const compare = (one, other, sign) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    if (typeof one === "number") return sign * (one - other);
    return sign * one.localeCompare(other, "en", { numeric: true });
  };

  const sort = (column) => {
    const heading = headings[column];
    const now = heading.getAttribute("aria-sort");
    const opposite = { ascending: "descending", descending: "ascending" };
    const order = now ? opposite[now] : heading.dataset.first;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((one, other) => compare(key(one, column), key(other, column), sign));
    body.append(...rows);
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });

  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    shown.value = words.length ? `${count} of ${rows.length}` : "";
  };
  filter.addEventListener("input", apply);
  filter.closest("[hidden]").hidden = false;
  apply(); // A browser may have kept what was typed before the page was loaded again.
})();
