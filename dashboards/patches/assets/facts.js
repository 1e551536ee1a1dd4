// What is known of one patch, beside its picture at its own size.

function line(term, text) {
  const [name, value] = [document.createElement("dt"), document.createElement("dd")];
  name.textContent = term;
  value.textContent = text;
  return [name, value];
}

export function describe(place, field, square, verdict, size) {
  const picture = document.createElement("img");
  picture.src = `patch/${square.id}`;
  picture.alt = "The patch at its own size";
  picture.width = size;
  picture.height = size;
  const when = verdict ? new Date(verdict.at).toLocaleString() : "";
  const word = verdict?.rejected ? "Rejected" : "Kept";
  const list = document.createElement("dl");
  list.append(
    ...line("Image", field.file),
    ...line("Class", field.label),
    ...line("Group", field.group),
    ...line("Place", `${square.x}, ${square.y}`),
    ...line("Tissue", `${(100 * square.tissue).toFixed(1)} % (${field.tissue_by})`),
    ...line("Marked", square.hints.join(", ") || "no"),
    ...line("Verdict", verdict ? `${word} by ${verdict.by}, ${when}` : "none: it is used"),
  );
  place.replaceChildren(picture, list);
}
