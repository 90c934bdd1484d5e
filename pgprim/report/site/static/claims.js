// Claims: `#/claims/NAME` opens the evidence of one, with the pictures of its figures.

site.views.claims = (section, rest) => {
  const name = rest.join("/");
  for (const claim of section.querySelectorAll(".claim")) {
    if (claim.dataset.name === name) {
      claim.open = true;
      claim.scrollIntoView({ block: "start" });
      claim.querySelector("summary").focus({ preventScroll: true });
    }
  }
};

// Copies pictures of the gallery to where they are evidence, so that the page holds each once.
site.figures = (parent, names) => {
  for (const name of names) {
    const picture = document.querySelector(`#figure-${CSS.escape(name)} img`);
    if (!picture) continue;
    const copy = picture.cloneNode();
    const around = document.createElement("a");
    around.href = `#/gallery/${name}`;
    around.append(copy);
    parent.append(around);
  }
};

site.listenToClaims = () => {
  for (const claim of document.querySelectorAll(".claim")) {
    claim.addEventListener("toggle", () => {
      const place = claim.querySelector(".shown");
      if (claim.open && place && !place.children.length) site.figures(place, place.dataset.figures.split(" ").filter(Boolean));
    });
  }
};

site.views.gallery = (section, [name]) => {
  section.querySelectorAll("figure.marked").forEach((figure) => figure.classList.remove("marked"));
  const figure = name && document.getElementById(`figure-${name}`);
  if (!figure) return;
  figure.classList.add("marked");
  figure.scrollIntoView({ block: "center" });
  figure.focus({ preventScroll: true });
};

site.listenToGallery = () => {
  const large = document.getElementById("large");
  for (const thumb of document.querySelectorAll(".thumb")) {
    thumb.addEventListener("click", () => {
      const from = thumb.querySelector("img"), to = large.querySelector("img");
      Object.assign(to, { src: from.src, alt: from.alt });
      large.showModal();
    });
  }
  large.addEventListener("click", (event) => event.target === large && large.close());
};
