"use strict";

// Draws the panels of panels.json from what Prometheus answers to their queries:
// lines, areas where the panel stacks, and single figures. It is no Grafana.

const colours = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];
const points = 160;

const scaled = (v, steps, last) => {
	for (const [size, unit] of steps) if (Math.abs(v) >= size) return `${+(v / size).toPrecision(3)} ${unit}`;
	return v === 0 ? "0" : last(v);
};
const units = {
	s: (v) => scaled(v, [[60, "min"], [1, "s"], [1e-3, "ms"]], (x) => `${+(x * 1e6).toPrecision(3)} µs`),
	bytes: (v) => scaled(v, [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]], (x) => `${x} B`),
	percentunit: (v) => `${+(v * 100).toPrecision(3)} %`,
	reqps: (v) => `${+v.toPrecision(3)}/s`,
	short: (v) => `${+v.toPrecision(3)}`,
};

async function query(prometheus, { expr, legendFormat }, range) {
	const answer = await (await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams({ query: expr, ...range })}`)).json();
	if (answer.status !== "success") throw new Error(`${expr}: ${answer.error}`);
	return answer.data.result.map(({ metric, values }) => ({
		name: legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, label) => metric[label] ?? ""),
		values: new Map(values.map(([time, value]) => [time, Number(value)]).filter(([, value]) => Number.isFinite(value))),
	})).filter(({ values }) => values.size > 0);
}

const last = ({ values }) => [...values.values()].at(-1);

// path is one line, or the area between two.
function path(upper, lower) {
	const line = (list, first) => list.map(([x, y], i) => `${i || !first ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
	return lower ? `${line(upper, true)}${line(lower.toReversed(), false)}Z` : line(upper, true);
}

function chart(series, { unit, stacks, width, height }, { start, end }) {
	const below = new Map();
	const drawn = series.map(({ values }) => [...values].map(([time, value]) => {
		const from = stacks ? below.get(time) ?? 0 : 0;
		below.set(time, from + value);
		return [time, from, from + value];
	}));
	const top = Math.max(...drawn.flat().map(([, , to]) => to)) * 1.1 || 1;
	const x = (time) => ((time - start) / (end - start)) * width;
	const y = (value) => height - (value / top) * height;
	const shapes = drawn.map((list, i) => {
		const colour = colours[i % colours.length];
		const upper = list.map(([time, , to]) => [x(time), y(to)]);
		const area = stacks ? `<path d="${path(upper, list.map(([time, from]) => [x(time), y(from)]))}" fill="${colour}" fill-opacity=".25"/>` : "";
		return `${area}<path d="${path(upper)}" fill="none" stroke="${colour}"/>`;
	});
	const grid = [0, 0.5, 1].map((part) => `<path d="M0 ${y(part * top)}H${width}" stroke="#e5e7eb"/><text x="2" y="${y(part * top) + (part ? 9 : -2)}">${units[unit](part * top)}</text>`);
	return `<svg viewBox="0 0 ${width} ${height}">${grid.join("")}${shapes.join("")}</svg>`;
}

function legend(series, unit) {
	const items = series.map((one, i) => `<span><b style="color:${colours[i % colours.length]}">▬</b> ${one.name} ${units[unit](last(one))}</span>`);
	return `<p>${items.slice(0, 12).join(" ")}${items.length > 12 ? ` and ${items.length - 12} more` : ""}</p>`;
}

async function draw(prometheus, panel, range) {
	const { x, y, w, h } = panel.gridPos;
	const box = document.createElement(panel.type === "row" ? "h1" : "section");
	box.style.gridArea = `${y + 1} / ${x + 1} / span ${h} / span ${w}`;
	document.querySelector("main").append(box);
	if (panel.type === "row") {
		box.textContent = panel.title;
		return;
	}
	const { unit, custom } = panel.fieldConfig.defaults;
	const series = (await Promise.all(panel.targets.map((target) => query(prometheus, target, range)))).flat();
	const title = `<h2>${panel.title}</h2>`;
	if (series.length === 0) {
		box.innerHTML = `${title}<p class="empty">no data</p>`;
	} else if (panel.type === "stat") {
		const text = panel.options.textMode === "name" ? series[0].name : units[unit](last(series[0]));
		box.innerHTML = `${title}<p class="stat">${text}</p>`;
	} else {
		const size = { width: box.clientWidth - 16, height: h * 28 - 82 };
		box.innerHTML = title + chart(series, { unit, stacks: custom.stacking.mode === "normal", ...size }, range) + legend(series, unit);
	}
}

// render resolves to the titles of the panels that have no data.
async function render() {
	const { prometheus, panels, start, end } = await (await fetch("panels.json")).json();
	const range = { start, end, step: (end - start) / points };
	await Promise.all(panels.map((panel) => draw(prometheus, panel, range)));
	return [...document.querySelectorAll(".empty")].map((p) => p.parentElement.querySelector("h2").textContent).join(", ");
}
