/** Plots as SVG, without a library: bars with their spread, and lines over a logarithmic axis. They show on light and on dark. */
import type { Spread } from './stats.js';

const WIDTH = 720;
const LEFT = 280;
const RIGHT = 110;
const BAR_HEIGHT = 22;
const GAP = 12;
const TOP = 48;
const COLOURS = ['#2f6fb0', '#c2631c', '#3f8f4f', '#8a5aa8', '#a8323e', '#5f6b76'];
const INK = '#7a828a';

export interface Bar {
  readonly name: string;
  readonly value: Spread;
}

/** One bar a row, as long as its median; a thin line goes from its least to its most. */
export function barPlot(title: string, unit: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value.max)) || 1;
  const x = (value: number) => LEFT + (value / most) * (WIDTH - LEFT - RIGHT);
  const rows = bars.map(({ name, value }, row) => {
    const y = TOP + row * (BAR_HEIGHT + GAP);
    const middle = y + BAR_HEIGHT / 2;
    return [
      text(LEFT - 8, middle + 4, name, 'end'),
      `<rect x="${LEFT}" y="${y}" width="${fixed(x(value.median) - LEFT)}" height="${BAR_HEIGHT}" rx="2" fill="${colour(row)}"/>`,
      line(x(value.min), middle, x(value.max), middle),
      text(x(value.max) + 8, middle + 4, short(value.median), 'start'),
    ].join('');
  });
  const height = TOP + bars.length * (BAR_HEIGHT + GAP) + 8;
  return svg(height, [text(16, 26, `${title}, ${unit}`, 'start', 15), ...rows]);
}

export interface Series {
  readonly name: string;
  /** By ascending x, which is above 0. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

const PLOT_HEIGHT = 260;

/** Both axes begin where the least point is, or at 0; `across` is logarithmic. */
export function linePlot(title: string, across: string, unit: string, series: readonly Series[]): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const [least, most] = [xs[0] ?? 1, xs.at(-1) ?? 1];
  const top = Math.max(...series.flatMap(({ points }) => points.map(([, y]) => y))) || 1;
  const x = (value: number) =>
    70 + (Math.log(value / least) / (Math.log(most / least) || 1)) * (WIDTH - 70 - 190);
  const y = (value: number) => TOP + PLOT_HEIGHT - (value / top) * PLOT_HEIGHT;
  const bottom = TOP + PLOT_HEIGHT;
  const axes = [
    line(70, bottom, WIDTH - 190, bottom),
    line(70, TOP, 70, bottom),
    ...xs.map((value) => text(x(value), bottom + 18, short(value), 'middle')),
    ...[0, 0.5, 1].map((part) => text(62, y(part * top) + 4, short(part * top), 'end')),
    text((70 + WIDTH - 190) / 2, bottom + 38, across, 'middle'),
  ];
  const drawn = series.map(({ name, points }, index) => {
    const path = points.map(([px, py]) => `${fixed(x(px))},${fixed(y(py))}`).join(' ');
    const dots = points.map(
      ([px, py]) => `<circle cx="${fixed(x(px))}" cy="${fixed(y(py))}" r="3" fill="${colour(index)}"/>`,
    );
    const legend = TOP + 10 + index * 20;
    return [
      `<polyline points="${path}" fill="none" stroke="${colour(index)}" stroke-width="2"/>`,
      ...dots,
      `<rect x="${WIDTH - 178}" y="${legend - 9}" width="10" height="10" fill="${colour(index)}"/>`,
      text(WIDTH - 162, legend, name, 'start'),
    ].join('');
  });
  return svg(bottom + 52, [text(16, 26, `${title}, ${unit}`, 'start', 15), ...axes, ...drawn]);
}

function svg(height: number, parts: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  return `${head} font-family="system-ui, sans-serif" font-size="13">\n${parts.join('\n')}\n</svg>\n`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end', size = 13): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" font-size="${size}" fill="${INK}">${escaped}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="${INK}"/>`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

/** Three digits that count. */
function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return String(Number(value.toPrecision(3)));
}
