// Cells that several tables have in common stand in the one that is shown.

export function seat() {
  for (const place of document.querySelectorAll("[data-cell]")) {
    const cell = document.getElementById(place.dataset.cell);
    if (cell && cell.parentNode !== place && !place.closest("[hidden]")) place.append(cell);
  }
}
