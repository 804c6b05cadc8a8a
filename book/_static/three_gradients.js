// The figure of the first page: one prediction in the plane, and what three losses do to its columns.
// A matrix is [p, q, r, s], row by row; its columns are (p, r) and (q, s). In the plane a rotation
// has one angle, so that every formula of the book fits in a line; tests compare them to rotlib.
(function () {
  "use strict";

  const rotation = (angle) =>
    [Math.cos(angle), -Math.sin(angle), Math.sin(angle), Math.cos(angle)];
  // How the four entries move when the rotation turns.
  const turning = (angle) =>
    [-Math.sin(angle), -Math.cos(angle), Math.cos(angle), -Math.sin(angle)];
  const scaled = (factor, entries) => entries.map((x) => factor * x);
  const length = (entries) => Math.hypot(...entries);

  // Each returns the gradient at M of the squared loss with target T(goal), and the rotation found.
  const methods = {
    svd([p, q, r, s], goal) {
      const angle = Math.atan2(r - q, p + s), sum = Math.hypot(p + s, r - q); // s1 + s2
      return { gradient: scaled((2 * Math.sin(angle - goal)) / sum, turning(angle)), angle };
    },
    gram([p, , r], goal) {
      const angle = Math.atan2(r, p), pull = (2 * Math.sin(angle - goal)) / Math.hypot(p, r);
      return { gradient: [-pull * Math.sin(angle), 0, pull * Math.cos(angle), 0], angle };
    },
    direct(M, goal) {
      const T = rotation(goal);
      return { gradient: M.map((x, i) => x - T[i]), angle: methods.svd(M, goal).angle };
    },
  };

  // A prediction that the slider squashes: its second singular value falls from 1 to nearly -1.
  function squashed(second) {
    const U = rotation(0.9), V = rotation(0.35);
    return [
      U[0] * V[0] + second * U[1] * V[1], U[0] * V[2] + second * U[1] * V[3],
      U[2] * V[0] + second * U[3] * V[1], U[2] * V[2] + second * U[3] * V[3],
    ];
  }

  const SVG = "http://www.w3.org/2000/svg";
  const GOAL = -0.5, REACH = 1.25, SCALE = 0.55;

  function arrow(panel, kind) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    panel.append(path);
    return (x, y, dx, dy) => {
      const size = Math.hypot(dx, dy);
      if (size < 0.02) return path.setAttribute("d", "");
      const [ux, uy] = [dx / size, dy / size], head = Math.min(0.16, 0.6 * size);
      const [ex, ey] = [x + dx, y + dy];
      const side = (k) => `${ex - head * (ux - k * 0.5 * uy)} ${-(ey - head * (uy + k * 0.5 * ux))}`;
      path.setAttribute("d", `M${x} ${-y}L${ex} ${-ey}M${side(1)}L${ex} ${-ey}L${side(-1)}`);
    };
  }

  function drawPanel(figure, name) {
    const svg = figure.querySelector(`[data-method=${name}]`);
    const columns = [0, 1];
    const target = columns.map(() => arrow(svg, "target"));
    const found = name === "direct" ? [] : columns.map(() => arrow(svg, "found"));
    const own = columns.map(() => arrow(svg, "own"));
    const pulls = columns.map(() => arrow(svg, "pull"));
    const handles = columns.map(() => {
      const handle = document.createElementNS(SVG, "circle");
      handle.setAttribute("r", 0.13);
      svg.append(handle);
      return handle;
    });
    const text = svg.parentNode.querySelector("output");
    return { svg, handles, show(M) {
      const { gradient, angle } = methods[name](M, GOAL);
      const T = rotation(GOAL), R = rotation(angle);
      for (const i of columns) {
        target[i](0, 0, T[i], T[i + 2]);
        if (found[i]) found[i](0, 0, R[i], R[i + 2]);
        own[i](0, 0, M[i], M[i + 2]);
        handles[i].setAttribute("cx", M[i]);
        handles[i].setAttribute("cy", -M[i + 2]);
        const pull = [-gradient[i], -gradient[i + 2]], size = length(pull);
        const shown = Math.min(SCALE, REACH / Math.max(size, 1e-9)); // never beyond the panel
        pulls[i](M[i], M[i + 2], shown * pull[0], shown * pull[1]);
      }
      text.textContent = length(gradient).toFixed(2);
    } };
  }

  function start(figure) {
    const slider = figure.querySelector("input"), label = slider.parentNode.nextElementSibling;
    const panels = Object.keys(methods).map((name) => drawPanel(figure, name));
    let M = squashed(Number(slider.value));
    const show = () => panels.forEach((panel) => panel.show(M));
    slider.addEventListener("input", () => {
      const text = Number(slider.value).toFixed(2).replace("-", "\u2212");
      label.textContent = text;
      slider.setAttribute("aria-valuetext", text);
      M = squashed(Number(slider.value));
      show();
    });
    for (const { svg, handles } of panels) {
      handles.forEach((handle, i) => {
        handle.addEventListener("pointerdown", (event) => {
          handle.setPointerCapture(event.pointerId);
          event.preventDefault();
        });
        handle.addEventListener("pointermove", (event) => {
          if (!handle.hasPointerCapture(event.pointerId)) return;
          const at = new DOMPoint(event.clientX, event.clientY)
            .matrixTransform(svg.getScreenCTM().inverse());
          M[i] = Math.max(-1.6, Math.min(1.6, at.x));
          M[i + 2] = Math.max(-1.6, Math.min(1.6, -at.y));
          label.textContent = "yours";
          show();
        });
      });
    }
    show();
  }

  window.threeGradients = { methods, squashed };
  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("figure.three-gradients").forEach(start));
})();
