for (const box of document.querySelectorAll("[data-threshold]")) {
  const { thresholds, counts } = JSON.parse(box.dataset.threshold);
  const slide = box.querySelector(".slide");
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const share = (part, all) => (all ? part / all : 0).toFixed(3);
  const show = (place) => {
    const [tp, fp, fn, tn] = counts[place];
    const rates = {
      precision: share(tp, tp + fp),
      recall: share(tp, tp + fn),
      f1: share(2 * tp, 2 * tp + fp + fn),
      accuracy: share(tp + tn, tp + fp + fn + tn),
    };
    box.querySelector("output").textContent = Number(thresholds[place].toPrecision(3));
    for (const cell of box.querySelectorAll("[data-count]")) cell.textContent = whole.format(counts[place][cell.dataset.count]);
    for (const cell of box.querySelectorAll("[data-rate]")) cell.textContent = rates[cell.dataset.rate];
  };
  slide.hidden = false;
  slide.querySelector("input").addEventListener("input", (moved) => show(Number(moved.target.value)));
}
