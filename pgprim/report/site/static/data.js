"use strict";
// Results as the page holds them: compressed text, and arrays whose values are found by their labels.

const site = { views: {}, data: null, meta: null, isTurning: false };

// The text of an element that holds gzip as base64.
site.unpack = async (id) => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

// A labelled dataset: `dims` has the labels of each dimension, `vars` each variable's dimensions and values in C order.
site.Labelled = class {
  constructor({ dims, vars }) {
    this.dims = dims;
    this.vars = vars;
  }

  has(name) {
    return name in this.vars;
  }

  labels(dim) {
    return this.dims[dim] ?? [];
  }

  // The value at some labels, null where there is none; an array along `over` if that dimension is named.
  get(name, at, over = null) {
    if (!this.has(name)) return over ? this.labels(over).map(() => null) : null;
    const { dims, data } = this.vars[name];
    let place = 0, stride = 1, step = 0;
    for (const dim of [...dims].reverse()) {
      const labels = this.dims[dim];
      if (dim === over) step = stride;
      else {
        const index = labels.indexOf(at[dim]);
        if (index < 0) return over ? this.labels(over).map(() => null) : null;
        place += index * stride;
      }
      stride *= labels.length;
    }
    return over ? this.dims[over].map((_, index) => data[place + index * step]) : data[place];
  }

  // Low and high ends of the interval of a variable, along a dimension if one is named.
  interval(name, at, over = null) {
    return ["low", "high"].map((bound) => this.get(`${name}_ci`, { ...at, bound }, over));
  }

  // Which labels of a dimension have any value of a variable at some labels of the others.
  present(name, dim, at = {}) {
    if (!this.has(name)) return [];
    const { dims, data } = this.vars[name];
    const there = new Set();
    data.forEach((value, place) => {
      if (value === null) return;
      let rest = place, fits = true, label = null;
      for (const one of [...dims].reverse()) {
        const labels = this.dims[one], own = labels[rest % labels.length];
        rest = Math.floor(rest / labels.length);
        if (one === dim) label = own;
        else if (one in at && at[one] !== own) fits = false;
      }
      if (fits) there.add(label);
    });
    return this.labels(dim).filter((label) => there.has(label));
  }
};

site.known = (values) => values.filter((value) => value !== null && value !== undefined);
site.mean = (values) => {
  const known = site.known(values);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
};
site.median = (values) => {
  const sorted = site.known(values).sort((a, b) => a - b), half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : sorted.length ? (sorted[half - 1] + sorted[half]) / 2 : null;
};
site.nearest = (values, wanted) =>
  values.reduce((best, value) => (Math.abs(Math.log(value / wanted)) < Math.abs(Math.log(best / wanted)) ? value : best), values[0]);

// 2048 -> 2K, as in the paper.
site.count = (number) => {
  for (const [size, letter] of [[1e6, "M"], [1e3, "K"]]) {
    if (number >= size) {
      const scaled = number / size;
      return `${Math.abs(scaled - Math.round(scaled)) >= 0.05 ? +scaled.toPrecision(3) : Math.round(scaled)}${letter}`;
    }
  }
  return `${+number.toPrecision(3)}`;
};
site.show = (value) => (value === null || value === undefined ? "–" : `${+value.toPrecision(3)}`.replace("-", "−"));
