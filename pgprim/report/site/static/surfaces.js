// Surfaces over a plane that turn together, or heat maps where there is no WebGL.

// Where the camera stands, as angles [degree] and distance, and back.
const RADIUS = 2.2;
site.camera = (turn, tilt) => {
  const [a, e] = [turn, tilt].map((angle) => (angle * Math.PI) / 180);
  return { eye: { x: RADIUS * Math.cos(e) * Math.cos(a), y: RADIUS * Math.cos(e) * Math.sin(a), z: RADIUS * Math.sin(e) }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: -0.12 } };
};
site.angles = ({ eye: { x, y, z } }) => ({
  turn: Math.round((Math.atan2(y, x) * 180) / Math.PI),
  tilt: Math.round((Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI),
});

// Values in the order alpha, beta as rows of equal beta, which is how plotly wants them.
const rows = (plane, values) => plane.beta.map((_, b) => plane.alpha.map((_, a) => values[a * plane.beta.length + b]));

// A panel is { plane, values, hover, title, note, range, isReward }.
site.surface = (panel, camera) => {
  const { plane, values, hover, range } = panel;
  const zero = Math.max(0, plane.beta.indexOf(0));
  const z = rows(plane, values), along = z[zero];
  const [low, high] = range;
  const axis = (text) => ({ title: { text, font: { size: 11 } }, tickfont: { size: 9 }, nticks: 4, gridcolor: "#d0d5da", backgroundcolor: "#fff" });
  return [
    [
      {
        type: "surface", x: plane.alpha, y: plane.beta, z, text: rows(plane, hover), hovertemplate: "%{text}<extra></extra>",
        colorscale: "Viridis", cmin: low, cmax: high, colorbar: { thickness: 9, len: 0.7, tickfont: { size: 9 } },
        contours: { x: { show: true, color: "#0003" }, y: { show: true, color: "#0003" }, z: { show: false } },
      },
      {
        type: "scatter3d", mode: "lines", x: plane.alpha, y: plane.alpha.map(() => plane.beta[zero]), z: along.map((value) => (value === null ? null : value + 0.004 * (high - low))),
        line: { color: "#c8102e", width: 6 }, hoverinfo: "skip", showlegend: false,
      },
    ],
    site.layout({
      margin: { l: 0, r: 0, t: 0, b: 0 },
      scene: { xaxis: axis("step"), yaxis: axis("random"), zaxis: { ...axis(""), range: [low - 0.02 * (high - low), high + 0.02 * (high - low)] }, camera, aspectmode: "cube", dragmode: "turntable" },
    }),
  ];
};

site.heatMap = (panel) => {
  const { plane, values, hover, range } = panel;
  return [
    [{
      type: "heatmap", x: plane.alpha, y: plane.beta, z: rows(plane, values), text: rows(plane, hover), hovertemplate: "%{text}<extra></extra>",
      colorscale: "Viridis", zmin: range[0], zmax: range[1], colorbar: { thickness: 9, tickfont: { size: 9 } },
    }],
    site.layout({
      xaxis: { title: { text: "multiples of the step" } }, yaxis: { title: { text: "multiples of the random direction" } },
      annotations: [{ x: 1, y: 0, ax: 0, ay: 0, xref: "x", yref: "y", axref: "x", ayref: "y", text: "", showarrow: true, arrowhead: 2, arrowwidth: 2.5, arrowcolor: "#c8102e" }],
    }),
  ];
};

// Has all boxes show the scene from the same side: a drag in one turns the others, and `told` the angles. While the others are
// being turned only the newest camera waits, so that slow machines keep up; each box gets a copy, because plotly changes it. When
// the drag ends the dragged one is set too, which would otherwise swing on for a while.
site.turnTogether = (boxes, told) => {
  const led = new Set();
  let newest = null, turning = false;
  const turn = async () => {
    turning = true;
    while (newest) {
      const { leader, camera, isLast } = newest;
      newest = null;
      const others = isLast ? boxes : boxes.filter((box) => box !== leader);
      others.forEach((box) => led.add(box));
      await Promise.all(others.map((box) => window.Plotly.relayout(box, { "scene.camera": structuredClone(camera) })));
      others.forEach((box) => led.delete(box));
    }
    turning = false;
  };
  for (const leader of boxes) {
    const follow = (isLast) => (event) => {
      const camera = event["scene.camera"];
      if (!camera || led.has(leader) || site.isTurning) return;
      newest = { leader, camera: structuredClone(camera), isLast };
      told(site.angles(camera));
      if (!turning) turn();
    };
    leader.on("plotly_relayouting", follow(false));
    leader.on("plotly_relayout", follow(true));
  }
};
