// Single repeats of one configuration, drawn into an empty figure, see `dashboards/figures/single_repeats.py`.

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The variant of the configuration with this number. Repeats lie end to end; here gaps part them, in one line. */
export function singles({ template, columns, panels, loss, hits }, number) {
  const { name, repeats, selected, lengths, images } = panels[number];
  const first = sum(panels.slice(0, number).map((before) => sum(before.lengths)));
  const starts = lengths.map((_, place) => first + sum(lengths.slice(0, place)));
  const accuracy = hits.map((counts, split) => counts.map((count) => (images[split] ? count / images[split] : null)));
  const epochsOf = (place, of) =>
    Array.from({ length: lengths[place] }, (_, epoch) => of(repeats[place], epoch, starts[place] + epoch, place));
  const every = (of) => repeats.flatMap((_, place) => epochsOf(place, of));
  const parted = (of) => repeats.flatMap((_, place) => [...(place ? [null] : []), ...epochsOf(place, of)]);
  const x = parted((_, epoch) => epoch);
  const text = parted((repeat) => repeat);
  const data = [loss, accuracy].flatMap((score, side) => {
    const [train, valid, dots] = template.data.slice(3 * side, 3 * side + 3);
    const along = (trace, split) => ({ ...trace, x, text, y: parted((_repeat, _epoch, at) => score[split][at]) });
    const ends = selected.map((epoch, place) => score[1][starts[place] + epoch]);
    return [along(train, 0), along(valid, 1), { ...dots, x: selected, text: repeats, y: ends }];
  });
  const row = (repeat, epoch, at, place) => [
    repeat,
    epoch,
    epoch === selected[place],
    loss[0][at],
    loss[1][at],
    accuracy[0][at],
    accuracy[1][at],
  ];
  return {
    spec: { data, layout: template.layout },
    label: `Loss and accuracy by epoch of ${repeats.length} single repeats, ${name}.`,
    columns,
    rows: () => every(row),
  };
}
