// The squares of one field, laid over its picture.

const percent = (part, whole) => `${(100 * part) / whole}%`;

/** What a square is called for those who do not see it. */
function named(square, verdict) {
  const words = [`Patch at ${square.x}, ${square.y}`, `tissue ${Math.round(100 * square.tissue)} %`, ...square.hints];
  if (verdict) words.push(verdict.rejected ? `rejected by ${verdict.by}` : `kept by ${verdict.by}`);
  return words.join(", ");
}

export function show(button, square, verdict) {
  button.classList.toggle("rejected", Boolean(verdict?.rejected));
  button.classList.toggle("kept", verdict?.rejected === false);
  button.classList.toggle("hinted", square.hints.length > 0 && !verdict);
  button.setAttribute("aria-pressed", String(Boolean(verdict?.rejected)));
  button.setAttribute("aria-label", named(square, verdict));
}

/** Fill `place` with a field; answers the buttons of its patches, by number. */
export function lay(place, field, number) {
  const picture = document.createElement("img");
  picture.src = `overview/${number}`;
  picture.alt = `${field.file}, ${field.label}`;
  picture.width = field.width;
  picture.height = field.height;
  const buttons = new Map();
  const laid = field.squares.map((square) => {
    const isPatch = square.id !== undefined;
    const made = document.createElement(isPatch ? "button" : "span");
    made.className = isPatch ? "patch" : "background";
    made.style.left = percent(square.x, field.width);
    made.style.top = percent(square.y, field.height);
    made.style.width = percent(square.width, field.width);
    made.style.height = percent(square.height, field.height);
    if (isPatch) {
      made.type = "button";
      made.tabIndex = -1;
      made.dataset.id = square.id;
      buttons.set(square.id, made);
    }
    return made;
  });
  place.replaceChildren(picture, ...laid);
  return buttons;
}

/** The nearest patch in a direction from another one; itself where there is none. */
export function beside(squares, from, [right, down]) {
  let best = from;
  let least = Number.POSITIVE_INFINITY;
  for (const one of squares) {
    const [dx, dy] = [(one.x - from.x) / from.width, (one.y - from.y) / from.height];
    const along = dx * right + dy * down;
    const apart = along + 3 * Math.abs(dx * down) + 3 * Math.abs(dy * right);
    if (along > 0.5 && apart < least) [best, least] = [one, apart];
  }
  return best;
}
