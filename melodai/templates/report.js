for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement, table = head.closest("table");
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = line => line.children[head.cellIndex].dataset.value ?? "";
    const rows = [...table.tBodies[0].rows];
    const numbers = rows.every(line => value(line) === "" || !isNaN(value(line)));
    rows.sort((a, b) => {
      const one = value(a), other = value(b);
      if (one === "" || other === "") return (one === "") - (other === "");  // unknown comes last
      const order = numbers ? one - other : one.localeCompare(other);
      return ascending ? order : -order;
    });
    table.tBodies[0].append(...rows);
  });
}
for (const search of document.querySelectorAll("input[type=search]")) {
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const row of document.getElementById(search.dataset.table).tBodies[0].rows)
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
const player = document.getElementById("player");
for (const button of document.querySelectorAll("button.play")) {
  button.addEventListener("click", () => {
    const audio = player.querySelector("audio"), told = player.querySelector("span");
    player.classList.add("open");
    told.textContent = button.title;
    audio.src = button.dataset.source;
    audio.play().catch(() => { told.textContent = "cannot play " + button.title; });
  });
}
