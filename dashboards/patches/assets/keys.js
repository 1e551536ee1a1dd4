// Which key does what; none where somebody types or chooses, and none with a modifier but for undo.

const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

export function listen(acts) {
  const plain = { x: acts.reject, k: acts.keep, u: acts.undo, n: acts.next, p: acts.previous, m: acts.marked };
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const withModifier = event.ctrlKey || event.metaKey || event.altKey;
    let act = withModifier ? null : plain[key];
    if (key === "z" && (event.ctrlKey || event.metaKey)) act = acts.undo;
    if (ARROWS[key] && !withModifier) act = () => acts.move(ARROWS[key]);
    if (!act) return;
    event.preventDefault();
    act();
  });
}
