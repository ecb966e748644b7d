"""Long texts and tables of a study's page: templates, one for each chapter, and the rows that they show."""
