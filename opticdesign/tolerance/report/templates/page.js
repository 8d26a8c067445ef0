"use strict";
// Tables are whole without this; it makes their headings buttons that sort, and offers to print.
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!cell.classList.contains("number")) return cell.dataset.sort ? Number(cell.dataset.sort) : cell.firstChild?.textContent ?? "";
    return cell.dataset.sort === undefined ? NaN : Number(cell.dataset.sort);
  };
  const compare = (a, b) => {
    if (typeof a === "string" || typeof b === "string") return String(a).localeCompare(String(b), "en", { numeric: true });
    return a - b;
  };
  const sort = (table, head, column) => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
    const missing = (value) => (Number.isNaN(value) ? 1 : 0); // at the end, whichever way it is sorted
    rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : direction * compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    const order = direction > 0 ? "ascending" : "descending";
    head.setAttribute("aria-sort", order);
    document.getElementById("status").textContent = `${table.caption.textContent}: sorted by ${head.textContent}, ${order}`;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
    });
  }
  const print = document.getElementById("print");
  print.hidden = false;
  print.addEventListener("click", () => window.print());
})();
