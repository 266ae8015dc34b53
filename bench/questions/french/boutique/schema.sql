create table clients (id int primary key, nom text not null, ville text, annee_naissance int);
create table produits (id int primary key, nom text not null, categorie text, prix numeric(8, 2));
create table commandes (id int primary key, client_id int references clients, produit_id int references produits, quantite int, date_commande date);
create table villes (id int primary key, nom text not null, population int);
