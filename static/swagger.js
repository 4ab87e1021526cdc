// Starts Swagger UI on the page's element; a file of its own, so that no page needs inline scripts.
(() => {
  const element = document.getElementById("swagger");
  window.SwaggerUIBundle({ url: element.dataset.document, domNode: element, deepLinking: true });
})();
