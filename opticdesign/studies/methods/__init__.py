"""The study of methods: networks beside what finds a phase from aliased frames without them."""
