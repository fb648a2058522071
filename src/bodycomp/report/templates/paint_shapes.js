// Which pixels a tool covers. Places are in pixels of the picture: pixel n reaches from n to n + 1.
const pixelAt = ({ width, height }, [x, y]) => {
  const column = Math.floor(x), row = Math.floor(y);
  return column < 0 || row < 0 || column >= width || row >= height ? -1 : row * width + column;
};
const pixelsOfDisc = ({ width, height }, { row_mm: tall, column_mm: wide }, [x, y], radius) => {
  const found = new Set([pixelAt({ width, height }, [x, y])]);
  const first = Math.max(0, Math.floor(y - radius / tall)), last = Math.min(height - 1, Math.ceil(y + radius / tall));
  for (let row = first; row <= last; row += 1) {
    const reach = radius ** 2 - ((row + 0.5 - y) * tall) ** 2, half = Math.sqrt(Math.max(0, reach)) / wide;
    if (reach < 0) continue;
    for (let column = Math.max(0, Math.ceil(x - half - 0.5)); column <= Math.min(width - 1, x + half - 0.5); column += 1) found.add(row * width + column);
  }
  found.delete(-1);
  return found;
};
// A stroke from one place to the next: discs close enough to leave no gap.
const pixelsOfLine = (size, grid, [fromX, fromY], [toX, toY], radius) => {
  const found = new Set(), steps = Math.max(1, Math.ceil(Math.hypot(toX - fromX, toY - fromY)));
  for (let step = 1; step <= steps; step += 1) {
    const part = step / steps, place = [fromX + part * (toX - fromX), fromY + part * (toY - fromY)];
    for (const at of pixelsOfDisc(size, grid, place, radius)) found.add(at);
  }
  return found;
};
// Pixels whose centre lies inside: an odd number of edges is to the left of it.
const pixelsOfPolygon = ({ width, height }, corners) => {
  const found = new Set();
  for (let row = 0; row < height; row += 1) {
    const y = row + 0.5, crossings = [];
    corners.forEach(([x, from], at) => {
      const [toX, to] = corners[(at + 1) % corners.length];
      if (from <= y !== to <= y) crossings.push(x + ((y - from) / (to - from)) * (toX - x));
    });
    crossings.sort((one, other) => one - other);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2)
      for (let column = Math.max(0, Math.ceil(crossings[pair] - 0.5)); column <= Math.min(width - 1, crossings[pair + 1] - 0.5); column += 1) found.add(row * width + column);
  }
  return found;
};
// Pixels that hang together with the first one by their sides, as far as they are accepted.
const pixelsOfFill = ({ width, height }, start, accepts) => {
  const found = new Set(), open = start >= 0 && accepts(start) ? [start] : [];
  found.add(start);
  while (open.length) {
    const at = open.pop(), column = at % width;
    for (const next of [column ? at - 1 : -1, column < width - 1 ? at + 1 : -1, at - width, at + width]) {
      if (next < 0 || next >= width * height || found.has(next) || !accepts(next)) continue;
      found.add(next);
      open.push(next);
    }
  }
  if (start < 0 || !accepts(start)) found.clear();
  return found;
};
