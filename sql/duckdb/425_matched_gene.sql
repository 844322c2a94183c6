CREATE VIEW matched_gene AS SELECT * FROM matched_effect;
