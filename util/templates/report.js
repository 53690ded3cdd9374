"use strict";
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const series = (index) => color(`--series-${index % 6}`);
  const several = data.models.length > 1;
  // Plotly takes text for a kind of HTML.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const models = data.models.map(plain);
  const samples = data.samples.map(plain);
  const unit = (text) => (text ? ` ${text}` : "");
  const inUnit = (what) => (what.unit ? `${plain(what.title)}, ${what.unit}` : plain(what.title));
  const titled = (text) => ({ text, standoff: 8 });
  // The series' colours are written as #rrggbb.
  const faded = (index, share) => `rgba(${[1, 3, 5].map((at) => parseInt(series(index).slice(at, at + 2), 16)).join()},${share})`;
  const setting = {
    responsive: true, displaylogo: false, scrollZoom: false, doubleClick: "autosize", showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "tableRotation", "resetCameraLastSave3d"],
  };
  const modebar = () => ({ bgcolor: "rgba(0,0,0,0)", color: color("--soft"), activecolor: color("--accent") });

  function draw(id, traces, layout) {
    const axis = { gridcolor: color("--grid"), zerolinecolor: color("--line"), automargin: true };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--ink"), size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 56, r: 18, t: 30, b: 56 },
      modebar: modebar(),
      showlegend: false,
      hoverlabel: { align: "left" },
      ...layout,
      xaxis: { ...axis, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis },
    };
    Plotly.react(id, traces, base, setting);
  }

  const metric = () => data.metrics[byId("metric").value];
  const range = (what) => [what.edges[0], what.edges[what.edges.length - 1]];

  function drawErrors(what) {
    const centres = what.edges.slice(1).map((edge, i) => (edge + what.edges[i]) / 2);
    draw("histogram", what.counts.map((counts, i) => ({
      x: centres, y: counts, name: models[i], mode: "lines", line: { shape: "hvh", color: series(i), width: 1.6 },
      fill: "tozeroy", fillcolor: faded(i, several ? 0.14 : 0.28),
      hovertemplate: `%{y} images around %{x:.3g}${unit(what.unit)}<extra>${models[i]}</extra>`,
    })), { xaxis: { title: titled(inUnit(what)), range: range(what) }, yaxis: { title: titled("images"), rangemode: "tozero" } });
    draw("cumulative", what.quantiles.map((values, i) => ({
      x: values, y: values.map((_, place) => (100 * place) / (values.length - 1)), name: models[i], mode: "lines",
      line: { color: series(i), width: 2 },
      hovertemplate: `%{y:.0f} % of the images: at most %{x:.3g}${unit(what.unit)}<extra>${models[i]}</extra>`,
    })), { xaxis: { title: titled(inUnit(what)), range: range(what) }, yaxis: { title: titled("images, %"), range: [0, 101] } });
  }

  function drawConditions(what) {
    for (const [key, condition] of Object.entries(data.conditions)) {
      const first = what.binned[key][0];
      const band = { x: first.condition, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
      const points = {
        x: condition.points, y: what.points[0], text: samples, mode: "markers",
        marker: { size: 4, color: series(0), opacity: 0.28 },
        hovertemplate: `%{text}<br>%{x:.3g}${unit(condition.unit)}: %{y:.3g}${unit(what.unit)}<extra></extra>`,
      };
      const medians = what.binned[key].map((bins, i) => ({
        x: bins.condition, y: bins.median, name: models[i], mode: "lines+markers", line: { color: series(i), width: 2.4 },
        customdata: bins.low.map((low, place) => [low, bins.high[place]]),
        hovertemplate: `median %{y:.3g}${unit(what.unit)}, quartiles %{customdata[0]:.3g} to %{customdata[1]:.3g}, ` +
          `at %{x:.3g}${unit(condition.unit)}<extra>${models[i]}</extra>`,
      }));
      const traces = [points, { ...band, y: first.low },
        { ...band, y: first.high, fill: "tonexty", fillcolor: faded(0, 0.2) }, ...medians];
      draw(`condition-${key}`, traces, {
        xaxis: { title: titled(inUnit(condition)) }, yaxis: { title: titled(inUnit(what)), range: range(what) },
      });
    }
  }

  function drawActions(what) {
    const actions = Object.keys(what.boxes[0]);
    byId("actions").style.height = `${90 + actions.length * (12 + 16 * data.models.length)}px`;
    const traces = what.boxes.map((boxes, i) => {
      const part = (place) => actions.map((action) => boxes[action][place]);
      return {
        type: "box", orientation: "h", name: models[i], y: actions.map(plain), marker: { color: series(i) },
        lowerfence: part(0), q1: part(1), median: part(2), q3: part(3), upperfence: part(4),
        hoverinfo: "x+y+name",
      };
    });
    draw("actions", traces, {
      boxmode: "group", xaxis: { title: titled(inUnit(what)), rangemode: "tozero", hoverformat: ".3g" },
      yaxis: { type: "category", dtick: 1, autorange: "reversed" },
    });
  }

  function drawPairs(what) {
    const [low, high] = range(what);
    for (let other = 1; other < data.models.length; other++) {
      const points = {
        x: what.points[0], y: what.points[other], text: samples, mode: "markers",
        marker: { size: 5, color: series(other), opacity: 0.5 },
        hovertemplate: `%{text}<br>${models[0]}: %{x:.3g}${unit(what.unit)}<br>${models[other]}: %{y:.3g}${unit(what.unit)}<extra></extra>`,
      };
      const equal = { x: [low, high], y: [low, high], mode: "lines", line: { color: color("--soft"), dash: "dot", width: 1 }, hoverinfo: "skip" };
      draw(`pair-${other}`, [equal, points], {
        xaxis: { title: titled(`${models[0]}: ${inUnit(what)}`), range: [low, high] },
        yaxis: { title: titled(models[other]), range: [low, high] },
      });
    }
  }

  function drawHistory() {
    if (!byId("history-metric")) return;
    const key = `val/${byId("metric").value}`;
    const lines = (name, dash, factor) => data.history.flatMap((history, i) => (history[name] ? [{
      x: history.epoch, y: history[name].map((value) => (value === null ? null : value * factor)), name: models[i],
      mode: "lines+markers", marker: { size: 4 }, line: { color: series(i), dash, width: 1.8 },
      hovertemplate: `epoch %{x}: %{y:.4g}<extra>${name.startsWith("train/loss") ? "training, " : ""}${models[i]}</extra>`,
    }] : []));
    const epochs = { title: titled("epoch"), rangemode: "tozero" };
    draw("history-metric", lines(key, "solid", metric().factor), { xaxis: epochs, yaxis: { title: titled(inUnit(metric())), rangemode: "tozero" } });
    draw("history-loss", [...lines("val/loss_total", "solid", 1), ...lines("train/loss_total", "dash", 1)],
      { xaxis: epochs, yaxis: { title: titled("loss"), rangemode: "tozero" } });
    draw("history-rate", lines("train/rate", "solid", 1), { xaxis: epochs, yaxis: { title: titled("learning rate"), rangemode: "tozero", exponentformat: "e" } });
  }

  function bytes(text, Kind) {
    return new Kind(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
  }

  const triangles = bytes(data.triangles, Int32Array);
  const corner = (place) => Array.from(triangles.filter((_, i) => i % 3 === place));
  const corners = { i: corner(0), j: corner(1), k: corner(2) };

  // Vertices as three lists, taken through a pose (row-vector form) where one is given.
  function vertices(packed, pose) {
    const values = Array.from(bytes(packed.numbers, Int16Array), (value) => value * packed.scale);
    const count = values.length / 3;
    const out = { x: new Array(count), y: new Array(count), z: new Array(count) };
    const matrix = pose || [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]];
    ["x", "y", "z"].forEach((axis, column) => {
      for (let n = 0; n < count; n++) {
        out[axis][n] = values[3 * n] * matrix[0][column] + values[3 * n + 1] * matrix[1][column] +
          values[3 * n + 2] * matrix[2][column] + matrix[3][column];
      }
    });
    return out;
  }

  const turns = {
    front: { x: 0, y: 0, z: 1.7 }, left: { x: 1.45, y: 0.1, z: 0.9 }, right: { x: -1.45, y: 0.1, z: 0.9 },
    above: { x: 0, y: 1.45, z: 0.9 }, below: { x: 0, y: -1.3, z: 1.1 },
  };
  const camera = (turn) => ({ eye: turns[turn], up: { x: 0, y: 1, z: 0 }, center: { x: 0, y: 0, z: 0 } });

  function colored(verts, errors, reddest) {
    return {
      type: "mesh3d", ...verts, ...corners, intensity: errors, cmin: 0, cmax: reddest, colorscale: data.colors,
      lighting: { ambient: 0.65, diffuse: 0.5, specular: 0.08, roughness: 0.7 }, lightposition: { x: 0, y: 200, z: 1000 },
      colorbar: { title: { text: "mm", side: "top" }, thickness: 10, len: 0.7, outlinewidth: 0, x: 1 },
      hovertemplate: "%{intensity:.2f} mm<extra></extra>",
    };
  }

  function drawSolid(id, traces) {
    const axis = { visible: false };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--ink"), size: 12 },
      margin: { l: 0, r: 0, t: 0, b: 0 },
      modebar: modebar(),
      scene: { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "data", dragmode: "orbit", camera: camera("front"), uirevision: "same" },
      uirevision: "same",
    };
    return Plotly.react(id, traces, layout, setting);
  }

  const chosen = (id) => Number(byId(id) ? byId(id).value : 0);

  function drawMeanMesh() {
    drawSolid("mean-mesh", [colored(vertices(data.mean_face), data.vertex_errors[chosen("mesh-model")], data.reddest)]);
  }

  let shownCase = 0;
  let shownMeshes = "both";

  function drawCase() {
    if (!data.cases.length) return;
    const one = data.cases[shownCase];
    const prediction = one.predictions[chosen("case-model")];
    const posed = byId("viewer-frame").value === "camera";
    const truth = vertices(one.mesh, posed && one.pose);
    const found = vertices(prediction.mesh, posed && prediction.pose);
    const errors = truth.x.map((_, n) => 1000 * Math.hypot(found.x[n] - truth.x[n], found.y[n] - truth.y[n], found.z[n] - truth.z[n]));
    const grey = { type: "mesh3d", ...truth, ...corners, color: color("--truth"), hoverinfo: "skip", flatshading: false };
    const traces = [];
    if (shownMeshes !== "truth") traces.push(colored(found, errors, posed ? 5 * data.reddest : data.reddest));
    if (shownMeshes !== "prediction") traces.push({ ...grey, opacity: shownMeshes === "both" ? 0.45 : 1 });
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    const card = all(".open")[shownCase];
    byId("viewer-text").textContent = `${card.querySelector(".case-name").textContent}\n` +
      `mean distance ${mean.toFixed(2)} mm; the prediction is coloured by error, the truth is grey`;
    drawSolid("viewer", traces).then(() => { byId("viewer").dataset.shown = shownCase; });
  }

  function press(buttons, button) {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
  }

  function filterCases() {
    const kind = all("[data-kind]").find((button) => button.getAttribute("aria-pressed") === "true").dataset.kind;
    const action = byId("case-action").value;
    const subject = byId("case-subject").value.trim().toLowerCase();
    const cases = all(".case");
    cases.forEach((card) => {
      const fits = (!kind || card.dataset.kinds.split("|").includes(kind)) && (!action || card.dataset.action === action) &&
        card.dataset.subject.toLowerCase().includes(subject);
      card.hidden = !fits;
    });
    const count = cases.filter((card) => !card.hidden).length;
    byId("case-count").textContent = `${count} of ${cases.length} cases`;
  }

  function showModel() {
    all(".case [data-model]").forEach((part) => { part.hidden = Number(part.dataset.model) !== chosen("case-model"); });
    drawCase();
  }

  function drawMetric() {
    const what = metric();
    if (!what) return;
    drawErrors(what);
    drawConditions(what);
    drawActions(what);
    drawPairs(what);
    drawHistory();
  }

  function drawAll() {
    all("[data-series]").forEach((key) => { key.style.background = series(Number(key.dataset.series)); });
    drawMetric();
    drawMeanMesh();
    drawCase();
  }

  all("[data-turns]").forEach((group) => Object.keys(turns).forEach((turn) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = turn;
    button.addEventListener("click", () => Plotly.relayout(group.dataset.turns, { "scene.camera": camera(turn) }));
    group.append(button);
  }));
  all("[data-kind]").forEach((button) => button.addEventListener("click", () => { press(all("[data-kind]"), button); filterCases(); }));
  all("[data-meshes]").forEach((button) => button.addEventListener("click", () => {
    press(all("[data-meshes]"), button);
    shownMeshes = button.dataset.meshes;
    drawCase();
  }));
  all(".open").forEach((button, number) => button.addEventListener("click", () => {
    shownCase = number;
    press(all(".open"), button);
    drawCase();
    if (innerWidth < 1000) byId("viewer").scrollIntoView({ block: "center" });
  }));
  byId("metric").addEventListener("change", drawMetric);
  byId("case-action").addEventListener("change", filterCases);
  byId("case-subject").addEventListener("input", filterCases);
  byId("viewer-frame").addEventListener("change", drawCase);
  if (byId("mesh-model")) byId("mesh-model").addEventListener("change", drawMeanMesh);
  if (byId("case-model")) byId("case-model").addEventListener("change", showModel);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  if (all(".open").length) press(all(".open"), all(".open")[0]);
  filterCases();
  drawAll();
  document.documentElement.dataset.drawn = "true";
})();
