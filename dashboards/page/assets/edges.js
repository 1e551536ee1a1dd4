// What is wider than its place scrolls sideways, and fades at the edge behind which it goes on.

const goesOn = (box) => box.scrollLeft + box.clientWidth < box.scrollWidth - 2;

export function fadeEdges() {
  const boxes = [...document.querySelectorAll(".scroll")].map((box) => [box, goesOn(box)]);
  for (const [box, more] of boxes) box.classList.toggle("more", more);
}

export function fadeOnScroll() {
  const scrolled = ({ target }) => {
    if (target.classList?.contains("scroll")) target.classList.toggle("more", goesOn(target));
  };
  document.addEventListener("scroll", scrolled, { capture: true, passive: true });
  document.addEventListener("toggle", fadeEdges, true);
}
